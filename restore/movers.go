package restore

import (
	"cmp"
	"context"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// Movers is the Filler that runs movers in the cluster.
type Movers struct {
	Cluster *cluster.Client
	Config  cluster.MoverConfig
}

// fillCapabilities are what a mover needs to bring back all that a backup's mover can save, whoever may write to the volume:
// owners, modes, times and access control lists (the first four), file capabilities (SETFCAP) and device nodes (MKNOD). Without
// one of them, it cannot bring back a volume that has such an entry. The Pod Security level "baseline" admits all of them.
func fillCapabilities() []corev1.Capability {
	return []corev1.Capability{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP"}
}

// takeBackCapabilities are what a mover needs to remove other users' files, even from directories with a sticky bit.
func takeBackCapabilities() []corev1.Capability {
	return []corev1.Capability{"DAC_OVERRIDE", "FOWNER"}
}

// common are the arguments that the movers of a restore share. By the operation in them, others know when a mover has died.
func (m *Movers) common(target Target) contract.Common {
	return contract.InPod(m.Config.Repo, target.Operation.MoverMark(target.Cluster))
}

// task is the mover that fills a volume.
func (m *Movers) task(target Target, v Volume) cluster.Mover {
	return cluster.Mover{
		Operation: target.Operation,
		Name:      target.Operation.VolumeName(v.Ordinal, v.Template),
		Ordinal:   v.Ordinal,
		Claim:     v.Claim,
		Mount:     v.Claim,
		Args: contract.RestoreArgs{
			Common: m.common(target), Source: target.Source, Dir: contract.Volume, Claim: v.SourceClaim, RepositorySnapshot: v.RepositorySnapshot,
			IntoEmpty: true, IntoClaim: target.Operation.Namespace + "/" + v.Claim, Resumes: target.resumes(),
		}.Args(),
		Capabilities: fillCapabilities(),
		Placement:    placement(target, v),
	}
}

// Admit asks about the movers' Jobs, pods, Secrets and account.
func (m *Movers) Admit(ctx context.Context, target Target, volumes []Volume) ([]cluster.Denial, []corev1.Pod, error) {
	var candidates []cluster.Candidate
	if m.Config.ServiceAccount == "" && len(volumes) > 0 {
		candidates = append(candidates, cluster.DryRunAccount(target.Operation))
	}
	for _, v := range volumes {
		candidates = append(candidates, cluster.DryRunMover(m.Config, m.task(target, v))...)
	}
	var pods []corev1.Pod
	for _, candidate := range candidates {
		if pod, isPod := candidate.Object.(*corev1.Pod); isPod {
			pods = append(pods, *pod)
		}
	}
	denials, err := m.Cluster.Admits(ctx, candidates...)
	return denials, pods, err
}

// Fill runs one mover that restores a volume.
func (m *Movers) Fill(ctx context.Context, target Target, v Volume, progress func(report.Progress)) (archive.Result, error) {
	var lock sync.Mutex // the mover's log and its state come from different goroutines
	state := report.Progress{Stage: report.StagePrepare}
	tell := func(change func()) {
		lock.Lock()
		defer lock.Unlock()
		change()
		progress(state)
	}
	task := m.task(target, v)
	task.Waiting = func(reason string) { tell(func() { state.Waiting = reason }) }
	message, err := m.Cluster.RunMover(ctx, m.Config, task, func(line []byte) {
		if data, ok := mover.Progress(line); ok {
			tell(func() { state.Stage, state.Waiting, state.Data = report.StageFill, "", data })
		}
	})
	result, untidy, failed := mover.Outcome(message, err)
	// A mover that still exists may keep the claim from the StatefulSet's pod.
	return result, cmp.Or(failed, untidy)
}

// Probe runs one mover without a volume, where the first volume's mover would run. It checks what all movers will need.
func (m *Movers) Probe(ctx context.Context, target Target, volumes []Volume) error {
	args := contract.ProbeArgs{Common: contract.InPod(m.Config.Repo, ""), Source: target.Source}
	place := cluster.PlacementLike(&target.StatefulSet.Spec.Template.Spec)
	for i, v := range volumes {
		args.RepositorySnapshots = append(args.RepositorySnapshots, v.RepositorySnapshot)
		if i == 0 {
			place = placement(target, v)
		}
	}
	return mover.ProbeOutcome(m.Cluster.ProbeMover(ctx, m.Config, cluster.Mover{
		Operation:    target.Operation,
		Name:         target.Operation.Name("probe"),
		Args:         args.Args(),
		Capabilities: fillCapabilities(), // so that admission can judge them
		Placement:    place,
	}))
}

// TakeBack runs one mover that removes what a restore has written.
func (m *Movers) TakeBack(ctx context.Context, target Target, v JournalVolume) error {
	message, err := m.Cluster.RunMover(ctx, m.Config, cluster.Mover{
		Operation: target.Operation,
		Name:      target.Operation.Name(strconv.Itoa(int(v.Ordinal)), v.Template, "back"),
		Ordinal:   v.Ordinal,
		Claim:     v.Claim,
		Mount:     v.Claim,
		Args: contract.RestoreArgs{
			Common: m.common(target), Source: target.Source, Dir: contract.Volume, Claim: v.SourceClaim, RepositorySnapshot: v.RepositorySnapshot,
			TakeBack: true, IntoClaim: target.Operation.Namespace + "/" + v.Claim, Resumes: target.resumes(),
		}.Args(),
		Capabilities: takeBackCapabilities(),
		Placement:    placement(target, Volume{}),
	}, nil)
	if err == nil {
		return nil // there is no result
	}
	_, untidy, failed := mover.Outcome(message, err)
	return cmp.Or(failed, untidy)
}

// placement lets a mover run where the StatefulSet's pod may run, if possible in the zone and on the node where
// the ordinal ran: with WaitForFirstConsumer, the mover's place decides the volume's place, and so the pod's.
func placement(target Target, v Volume) cluster.Placement {
	place := cluster.PlacementLike(&target.StatefulSet.Spec.Template.Spec)
	var preferred []corev1.PreferredSchedulingTerm
	for _, wish := range []struct {
		weight     int32
		key, value string
	}{
		{100, corev1.LabelTopologyZone, v.Zone},
		{50, corev1.LabelHostname, v.Node},
	} {
		if wish.value != "" {
			preferred = append(preferred, corev1.PreferredSchedulingTerm{Weight: wish.weight, Preference: corev1.NodeSelectorTerm{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: wish.key, Operator: corev1.NodeSelectorOpIn, Values: []string{wish.value}}},
			}})
		}
	}
	if len(preferred) == 0 {
		return place
	}
	place.Affinity = place.Affinity.DeepCopy()
	if place.Affinity == nil {
		place.Affinity = &corev1.Affinity{}
	}
	if place.Affinity.NodeAffinity == nil {
		place.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	node := place.Affinity.NodeAffinity
	node.PreferredDuringSchedulingIgnoredDuringExecution = append(preferred, node.PreferredDuringSchedulingIgnoredDuringExecution...)
	return place
}
