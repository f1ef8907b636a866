package backup

import (
	"context"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/internal/report"
)

// Movers is the Saver that runs movers in the cluster. Each backup needs its own.
type Movers struct {
	Cluster *cluster.Client

	// running counts the movers that run. While there are any, it is worth waiting for a quota to have room again: running movers end,
	// and wait for nobody. A volume that has its temporary claim waits for nothing else here, so no two volumes wait for each other.
	running atomic.Int32
}

// client is a client that tells the user what it waits for.
func (m *Movers) client(target *Target) *cluster.Client {
	client := *m.Cluster
	client.Waiting = target.Note
	return &client
}

// Makes returns the mover's Job, pod and Secret, and the account that all movers share.
func (m *Movers) Makes(target Target, v *Volume, source capture.Source) []cluster.Candidate {
	switch {
	case v != nil:
		return cluster.DryRunMover(target.Request.Mover, target.task(v, source))
	case target.Request.Mover.ServiceAccount == "":
		return []cluster.Candidate{cluster.DryRunAccount(target.Operation)}
	default:
		return nil
	}
}

// Save runs one mover that saves a volume.
func (m *Movers) Save(ctx context.Context, target Target, v *Volume, source capture.Source, tell func(report.Progress)) (Saved, error) {
	progress := &moverProgress{tell: tell, state: report.Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: report.StagePrepare}}
	task := target.task(v, source)
	task.Busy = func() bool { return m.running.Load() > 0 }
	var ran atomic.Bool
	task.Waiting = func(reason string) {
		if reason == "" && !ran.Swap(true) {
			m.running.Add(1)
		}
		progress.waiting(reason)
	}
	output, err := m.client(&target).RunMover(ctx, target.Request.Mover, task, progress.line)
	if ran.Load() {
		m.running.Add(-1)
	}
	result, untidy, failed := mover.Outcome(output, err)
	return Saved{Result: result, Untidy: untidy}, failed
}

// Probe runs one mover without a volume, which checks what all movers need.
func (m *Movers) Probe(ctx context.Context, target Target, v *Volume) error {
	op, config := target.Operation, target.Request.Mover
	return mover.ProbeOutcome(m.client(&target).ProbeMover(ctx, config, cluster.Mover{
		Operation: op,
		Name:      op.Name("probe"),
		Args: contract.ProbeArgs{
			Common: contract.InPod(config.Repo, target.mark()),
			Source: op.Namespace + "/" + op.StatefulSet,
			Write:  true,
		}.Args(),
		Capabilities: []corev1.Capability{"DAC_OVERRIDE"},
		Placement:    v.choice.Placement,
	}))
}

// task is the mover that saves a volume. It mounts the source's claim.
func (t *Target) task(v *Volume, source capture.Source) cluster.Mover {
	op := t.Operation
	return cluster.Mover{
		Operation: op,
		Name:      op.VolumeName(v.Ordinal, v.Template),
		Ordinal:   v.Ordinal,
		Claim:     v.Claim,
		Mount:     source.Claim,
		ReadOnly:  true,
		Args:      t.args(v).Args(),
		// To read files that others may not read. DAC_READ_SEARCH would be narrower, but the Pod Security level
		// "baseline" forbids it, and the volume is mounted read-only.
		Capabilities: []corev1.Capability{"DAC_OVERRIDE"},
		Placement:    v.choice.Placement,
	}
}

func (t *Target) args(v *Volume) contract.BackupArgs {
	op, request := t.Operation, t.Request
	return contract.BackupArgs{
		Common:        contract.InPod(request.Mover.Repo, t.mark()),
		Dir:           contract.Volume,
		As:            op.Namespace + "/" + op.StatefulSet,
		Claim:         v.Claim,
		Ordinal:       int(v.Ordinal),
		RecoveryPoint: op.ID,
		// A cut is what is on the disk: it can hold a file's new data with its old times, which reach the disk later
		// (fdatasync, lazytime). So times prove nothing there, and every file is read; unchanged data is stored only once.
		ForceRead:   true,
		Compression: request.Compression.String(),
		RetryLock:   request.RetryLock,
	}
}

// moverProgress turns a mover's log lines into Progress. Lines and waits come from different goroutines.
type moverProgress struct {
	tell  func(report.Progress)
	mu    sync.Mutex
	state report.Progress
}

func (p *moverProgress) waiting(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Waiting = reason
	if reason == "" {
		p.state.Stage = report.StageMove
	}
	p.tell(p.state)
}

// line takes one line of the log. A line that is not progress is for people who read the log.
func (p *moverProgress) line(text []byte) {
	if reason := mover.Waiting(text); reason != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.state.Stage, p.state.Waiting = report.StagePrepare, reason
		p.tell(p.state)
		return
	}
	data, ok := mover.Progress(text)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Stage, p.state.Waiting, p.state.Data = report.StageMove, "", data
	p.tell(p.state)
}
