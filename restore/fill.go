package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// Filler writes one volume's data into its new claim. Its methods return when nothing uses the claim any more, also
// when ctx has ended or they fail.
type Filler interface {
	// Fill fails if the volume is not empty, apart from what an earlier Fill has left there that did not end.
	Fill(ctx context.Context, target Target, v Volume, progress func(Progress)) (archive.Result, error)
	// TakeBack removes from the volume what a Fill has written, be it whole or not. It fails if there is anything else.
	TakeBack(ctx context.Context, target Target, v JournalVolume) error
}

// Target is what a Filler may want to know of the StatefulSet that is being restored.
type Target struct {
	Operation   cluster.Operation
	StatefulSet *appsv1.StatefulSet
	// Cluster is the cluster's UID.
	Cluster string
	// Source is the recovery point as namespace/statefulset@id.
	Source string
	// Resumes are the ids of the operations on the same StatefulSet whose unfinished work may be removed.
	Resumes []string
}

// resumes are these operations as their movers name themselves.
func (t *Target) resumes() []string {
	var marks []string
	for _, id := range t.Resumes {
		op := t.Operation
		op.ID = id
		marks = append(marks, op.MoverMark(t.Cluster))
	}
	return marks
}

// create makes the new claims.
func (x *run) create(ctx context.Context) error {
	for _, v := range x.plan.Volumes {
		claim := v.manifest.DeepCopy()
		claim.Annotations[annotationOperation] = x.op.ID
		if _, err := x.Cluster.CreateFinalClaim(ctx, claim); err != nil {
			return err
		}
		x.Reporter.Volume(Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: StageWait})
	}
	return nil
}

// fill writes the data, one volume after the other.
func (x *run) fill(ctx context.Context) error {
	if err := x.journal.enter(ctx, x.Cluster, x.op, PhaseFill); err != nil {
		return err
	}
	target := x.target(x.sts)
	for i, v := range x.plan.Volumes {
		began := x.Now()
		progress := Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: StagePrepare}
		x.Reporter.Volume(progress)
		if v.Spare != "" {
			x.journal.Volumes[i].Filling = true
			if err := x.journal.write(ctx, x.Cluster, x.op); err != nil {
				return err
			}
		}
		result, err := x.Filler.Fill(ctx, target, v, func(p Progress) {
			p.Ordinal, p.Claim = v.Ordinal, v.Claim
			progress = p
			x.Reporter.Volume(p)
		})
		if err == nil {
			err = check(v, result)
		}
		if err != nil {
			progress.Stage, progress.Error = StageFailed, err.Error()
			x.Reporter.Volume(progress)
			return fmt.Errorf("restore claim %s/%s: %w", x.op.Namespace, v.Claim, err)
		}
		for _, warning := range result.Warnings {
			x.Reporter.Note("warning: claim " + v.Claim + " is restored, but " + warning)
		}
		if v.Spare != "" {
			x.journal.Volumes[i].Filled = true
			if err := x.journal.write(ctx, x.Cluster, x.op); err != nil {
				return err
			}
		}
		progress.Stage = StageDone
		progress.Data = archive.Progress{Files: result.Files, Bytes: result.Bytes, TotalFiles: result.Files, TotalBytes: result.Bytes}
		x.Reporter.Volume(progress)
		x.report.Volumes = append(x.report.Volumes, Restored{
			Ordinal: v.Ordinal, Claim: v.Claim, RepositorySnapshot: result.RepositorySnapshot,
			Files: result.Files, Bytes: result.Bytes, Duration: x.Now().Sub(began),
		})
	}
	return nil
}

func (x *run) target(sts *appsv1.StatefulSet) Target {
	return Target{
		Operation: x.op, StatefulSet: sts, Cluster: x.uid,
		Source:  x.plan.SourceNamespace + "/" + x.plan.SourceStatefulSet + "@" + x.plan.RecoveryPoint,
		Resumes: x.resumes,
	}
}

// check compares what was written with what the record says was saved.
func check(v Volume, result archive.Result) error {
	switch {
	case result.ProblemCount > 0 || len(result.Problems) > 0:
		text := fmt.Sprintf("%d entries could not be written", max(result.ProblemCount, len(result.Problems)))
		for _, problem := range result.Problems {
			text += fmt.Sprintf("; %s: %s", problem.Path, problem.Reason)
		}
		return errors.New(text)
	case result.RepositorySnapshot != v.RepositorySnapshot:
		return fmt.Errorf("the mover restored repository snapshot %q instead of %q", result.RepositorySnapshot, v.RepositorySnapshot)
	case result.Files != v.Files || result.Bytes != v.Bytes:
		return fmt.Errorf("the mover wrote %d files of %d bytes, and the recovery point holds %d files of %d bytes",
			result.Files, result.Bytes, v.Files, v.Bytes)
	}
	return nil
}

// Movers is the Filler that runs movers in the cluster.
type Movers struct {
	Cluster *cluster.Client
	Config  cluster.MoverConfig
	// PasswordFile is where the mover finds the repository's password: one of Config.Files.
	PasswordFile string
}

// fillCapabilities are what it takes to bring back all that a backup's mover can save, whoever may write to the volume:
// owners, modes, times and access control lists (the first four), file capabilities (SETFCAP) and device nodes (MKNOD).
// One that lacks them cannot bring back a volume that has such an entry. The Pod Security level "baseline" admits all.
func fillCapabilities() []corev1.Capability {
	return []corev1.Capability{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP"}
}

// takeBackCapabilities are what it takes to remove the files of others, also from directories with a sticky bit.
func takeBackCapabilities() []corev1.Capability {
	return []corev1.Capability{"DAC_OVERRIDE", "FOWNER"}
}

// Fill runs one mover that restores.
func (m *Movers) Fill(ctx context.Context, target Target, v Volume, progress func(Progress)) (archive.Result, error) {
	var lock sync.Mutex // the mover's log and its state come from different goroutines
	state := Progress{Stage: StagePrepare}
	tell := func(change func()) {
		lock.Lock()
		defer lock.Unlock()
		change()
		progress(state)
	}
	message, err := m.Cluster.RunMover(ctx, m.Config, cluster.Mover{
		Operation: target.Operation,
		Name:      target.Operation.VolumeName(v.Ordinal, v.Template),
		Ordinal:   v.Ordinal,
		Claim:     v.Claim,
		Mount:     v.Claim,
		Args: []string{
			"volume", "restore", target.Source,
			"--repo", m.Config.Repo, "--claim", v.SourceClaim, "--repository-snapshot", v.RepositorySnapshot,
			"--repository-password-file", m.PasswordFile, "--result-file", cluster.MoverResult,
			"--operation", target.Operation.MoverMark(target.Cluster), // for others to know when it has died
			"--into-empty", "--into-claim", target.Operation.Namespace + "/" + v.Claim, "--resumes", strings.Join(target.resumes(), ","),
			cluster.MoverVolume,
		},
		Capabilities: fillCapabilities(),
		Placement:    placement(target, v),
		Waiting:      func(reason string) { tell(func() { state.Waiting = reason }) },
	}, func(line []byte) {
		if data, ok := mover.Progress(line); ok {
			tell(func() { state.Stage, state.Waiting, state.Data = StageFill, "", data })
		}
	})
	result, untidy, failed := mover.Outcome(message, err)
	// A mover that is still there may keep the claim from the StatefulSet's pod.
	return result, cmp.Or(failed, untidy)
}

// TakeBack runs one mover that removes.
func (m *Movers) TakeBack(ctx context.Context, target Target, v JournalVolume) error {
	message, err := m.Cluster.RunMover(ctx, m.Config, cluster.Mover{
		Operation: target.Operation,
		Name:      target.Operation.Name(strconv.Itoa(int(v.Ordinal)), v.Template, "back"),
		Ordinal:   v.Ordinal,
		Claim:     v.Claim,
		Mount:     v.Claim,
		Args: []string{
			"volume", "restore", target.Source,
			"--repo", m.Config.Repo, "--claim", v.SourceClaim, "--repository-snapshot", v.RepositorySnapshot,
			"--repository-password-file", m.PasswordFile, "--result-file", cluster.MoverResult,
			"--operation", target.Operation.MoverMark(target.Cluster),
			"--take-back", "--into-claim", target.Operation.Namespace + "/" + v.Claim, "--resumes", strings.Join(target.resumes(), ","),
			cluster.MoverVolume,
		},
		Capabilities: takeBackCapabilities(),
		Placement:    placement(target, Volume{}),
	}, nil)
	if err == nil {
		return nil // there is no result
	}
	_, untidy, failed := mover.Outcome(message, err)
	return cmp.Or(failed, untidy)
}

// placement lets a mover run where the StatefulSet's pod may run, if possible in the zone and on the node where the
// ordinal ran: with WaitForFirstConsumer its place decides the volume's, and with it the pod's.
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
