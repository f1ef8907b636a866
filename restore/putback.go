package restore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/wait"
)

// action is what putting back has to do with one claim.
type action string

const (
	actionNone     action = "none"     // it is as it was
	actionClear    action = "clear"    // what is there now has to go; there was nothing before
	actionReplace  action = "replace"  // what is there now takes the place of the displaced claim
	actionRecreate action = "recreate" // the displaced claim is gone, or is being deleted
	actionRebind   action = "rebind"   // the displaced claim was made again, and is not bound to its volume yet
)

// classify decides what to do with a claim of the journal, looking only at what exists now: live is the claim
// of that name, and volume the displaced volume; each is nil if it does not exist.
func classify(j *Journal, v *JournalVolume, live *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) action {
	d := v.Displaced
	switch {
	case d == nil && live != nil && j.created(v, live):
		return actionClear
	case d == nil:
		return actionNone
	case live == nil:
		return actionRecreate
	case live.UID == d.UID && live.DeletionTimestamp == nil:
		return actionNone
	case live.UID == d.UID:
		return actionRecreate
	case j.created(v, live):
		return actionReplace
	case d.Volume == "":
		return actionNone // there was no data behind it, and what is there now is not ours
	case live.Spec.VolumeName != d.Volume || live.DeletionTimestamp != nil:
		return actionReplace
	case cluster.BoundTo(volume, live):
		return actionNone
	default:
		return actionRebind
	}
}

// undo puts back what a failed or interrupted restore has changed. The error is the restore's own, plus what
// the user should know about the StatefulSet's state.
func (x *run) undo(ctx context.Context, failure error) error {
	if x.journal == nil {
		return failure
	}
	again := fmt.Sprintf("\"stsbackup restore %[1]s --resume\" continues it, \"stsbackup undo %[1]s\" puts it back", x.plan.target())
	if x.lease.Lost() != nil {
		return fmt.Errorf("%w; nothing was put back, because another operation may be at work by now: %s", failure, again)
	}
	if x.limits.PutBack == 0 {
		x.limits = x.Limits.withDefaults(&appsv1.StatefulSet{})
	}
	ctx, cancel := x.lease.Grace(ctx, x.limits.PutBack)
	defer cancel()
	x.Reporter.Note("putting everything back, because: " + failure.Error())
	done, err := "", error(nil)
	for range 5 {
		if done, err = x.settle(ctx); err == nil {
			x.Reporter.Note(done)
			return fmt.Errorf("%w; %s", failure, done)
		}
		x.Reporter.Note("putting back failed: " + err.Error())
		if errors.Is(err, errOthersRun) || wait.For(ctx, x.limits.Retry) != nil {
			break
		}
	}
	return fmt.Errorf("%w; and putting back failed too: %w; no data is deleted, and the journal is ConfigMap %s/%s: %s",
		failure, err, x.op.Namespace, cluster.JournalName(x.op.StatefulSet), again)
}

// errOthersRun is wrapped by errors that say that somebody has started pods, which putting back must not end by itself.
var errOthersRun = errors.New("a person has to decide")

// settle ends the restore in the cluster's journal, by completing it or putting it back, and says which.
func (x *run) settle(ctx context.Context) (string, error) {
	// The stored journal decides: a write of the last phase that seemed to fail may have succeeded all the same.
	journal, err := readJournal(ctx, x.Cluster, x.op.Key())
	if errors.Is(err, errNoJournal) && x.written {
		journal, err = nil, nil
	}
	switch {
	case err != nil:
		return "", err
	case journal == nil && !x.written:
		return "nothing was changed", nil
	case journal == nil: // somebody has deleted or damaged it; we still know its content
		if err := x.journal.write(ctx, x.Cluster, x.op); err != nil {
			return "", err
		}
	case journal.Operation != x.journal.Operation:
		return "", fmt.Errorf(
			"ConfigMap %s/%s is another operation's (%s) by now: %w",
			x.op.Namespace,
			cluster.JournalName(x.op.StatefulSet),
			journal.Operation,
			cluster.ErrChanged,
		)
	case journal.Phase == PhaseResume:
		x.journal = journal
		sts, err := x.complete(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf(
			"all data is in place, and the StatefulSet is scaled to %d replicas",
			cluster.Replicas(sts),
		), x.journal.remove(ctx, x.Cluster, x.op)
	default:
		x.journal = journal
	}
	replicas := x.journal.Replicas
	kept, err := x.putBack(ctx, false)
	if err != nil {
		return "", err
	}
	done := fmt.Sprintf(
		"everything was put back: %s/%s has its old volumes and %d replicas, as before",
		x.op.Namespace,
		x.op.StatefulSet,
		replicas,
	)
	if len(x.gone) > 0 {
		done = fmt.Sprintf("what is still there was put back, and %s/%s has %d replicas; somebody has deleted these volumes meanwhile: %s",
			x.op.Namespace, x.op.StatefulSet, replicas, strings.Join(x.gone, ", "))
	}
	if len(kept) > 0 {
		done += "; " + x.keptWords(kept)
	}
	return done, nil
}

// keptWords says which volumes were set aside rather than removed, and how to get them back: an undo that names no operation skips them.
func (x *run) keptWords(kept []string) string {
	return fmt.Sprintf(
		"set aside and kept, because pods may have written to them: %s; to bring them back: \"stsbackup undo %s/%s --operation %s\"",
		strings.Join(kept, ", "),
		x.op.Namespace,
		x.op.StatefulSet,
		x.op.ID,
	)
}

// putBackNow puts an interrupted restore back because a person wants that, whichever pods run now.
func (x *run) putBackNow(ctx context.Context) (Report, error) {
	kept, err := x.putBack(ctx, true)
	if err != nil {
		return Report{}, fmt.Errorf(
			"put %s back: %w; no data is deleted; \"stsbackup undo %s\" tries again",
			x.journal.verb(),
			err,
			x.plan.target(),
		)
	}
	if len(kept) > 0 {
		x.Reporter.Note(x.keptWords(kept))
	}
	x.report.PutBack = true
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err != nil {
		return x.report, err
	}
	x.fillReport(ctx)
	if err := x.Cluster.AwaitReady(ctx, sts, x.limits.Ready); err != nil {
		return x.report, fmt.Errorf(
			"everything was put back and the StatefulSet is scaled to %d, but %w: %w",
			cluster.Replicas(sts),
			ErrNotReady,
			err,
		)
	}
	return x.report, nil
}

// putBack restores everything that was there before the journal's restore. It can be repeated at any point. It returns the names
// of the volumes that it has set aside rather than removed. It ends pods that others have started only if a person wants it to.
func (x *run) putBack(ctx context.Context, wanted bool) (kept []string, err error) {
	j := x.journal
	x.gone = nil
	if err := x.holdToPutBack(ctx, wanted); err != nil {
		return nil, err
	}
	var failures []error
	for i := range j.Volumes {
		v := &j.Volumes[i]
		aside, err := x.putClaimBack(ctx, v)
		for range createAttempts {
			if aside != "" {
				kept = append(kept, aside)
			}
			if !apierrors.IsAlreadyExists(err) {
				break
			}
			// Somebody has just made a claim of that name: the controller does, if the StatefulSet is scaled up.
			if err = x.scaleToZero(ctx); err == nil {
				aside, err = x.putClaimBack(ctx, v)
			}
		}
		failures = append(failures, err)
	}
	if err := errors.Join(failures...); err != nil {
		return kept, err
	}
	// Replicas, gate and retention policy change in one step: at no time are there claims without pods under "whenScaled: Delete".
	scale := cluster.Scale{}
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return kept, err
	}
	if err == nil && sts.UID == j.UID {
		scale.Retention = x.policyBack(sts)
	}
	// Never fewer replicas than there are: under "whenScaled: Delete" that would delete claims.
	if err == nil && cluster.Replicas(sts) == 0 && j.holds(sts) {
		scale.Replicas = &j.Replicas
	}
	_, err = x.Cluster.Release(ctx, x.op.Key(), j.UID, scale, x.limits.Down)
	if err != nil && (wanted || !errors.Is(err, cluster.ErrChanged)) {
		return kept, err
	}
	return kept, j.remove(ctx, x.Cluster, x.op)
}

// holdToPutBack ensures that no pod uses the claims that putting back changes, if there are any. It ends the pods of the StatefulSet
// that the restore was holding, whoever started them. It ends pods of a StatefulSet that was created anew only if a person wants it to.
func (x *run) holdToPutBack(ctx context.Context, wanted bool) error {
	j, touched := x.journal, false
	for i := range j.Volumes {
		what, _, err := x.examine(ctx, &j.Volumes[i])
		if err != nil {
			return err
		}
		touched = touched || what != actionNone
	}
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	switch {
	case errors.Is(err, cluster.ErrNotFound) && !wanted:
		return x.nobodyRuns(ctx) // without a StatefulSet no pod can start
	case err != nil:
		return err
	case sts.UID == j.UID && !touched:
		return nil
	case sts.UID == j.UID:
		return x.holdJournal(ctx)
	case !touched && !wanted:
		return nil
	case !wanted:
		return fmt.Errorf(
			"somebody has made %s anew in the middle of the restore, so the restore does not end its pods: %w",
			x.op.Object(),
			errOthersRun,
		)
	}
	// Nothing proves any more that no pod has written to what the restore made.
	x.sts = sts
	x.plan.ReplicasAfter = cluster.Replicas(sts)
	if err := x.adopt(ctx); err != nil || !touched {
		return err
	}
	return x.holdJournal(ctx)
}

// nobodyRuns fails if a pod uses any of the claims.
func (x *run) nobodyRuns(ctx context.Context) error {
	pods, err := x.Cluster.Pods(ctx, x.op.Namespace)
	if err != nil {
		return err
	}
	for i := range x.journal.Volumes {
		if users := cluster.RunningOn(pods, x.journal.Volumes[i].Claim); users != "" {
			return fmt.Errorf("%s uses claim %s/%s: %w", users, x.op.Namespace, x.journal.Volumes[i].Claim, errOthersRun)
		}
	}
	return nil
}

func (x *run) examine(ctx context.Context, v *JournalVolume) (action, *corev1.PersistentVolumeClaim, error) {
	live, err := x.Cluster.Claim(ctx, x.op.Claim(v.Claim))
	if err != nil {
		return "", nil, err
	}
	var volume *corev1.PersistentVolume
	if v.Displaced != nil && v.Displaced.Volume != "" {
		if volume, err = x.Cluster.Volume(ctx, v.Displaced.Volume); err != nil {
			return "", nil, err
		}
	}
	return classify(x.journal, v, live, volume), live, nil
}

// putClaimBack puts one claim back, and its volume's reclaim policy. It returns the name of a volume that it has set aside.
func (x *run) putClaimBack(ctx context.Context, v *JournalVolume) (kept string, err error) {
	what, live, err := x.examine(ctx, v)
	if err != nil {
		return "", err
	}
	d := v.Displaced
	if what == actionClear || what == actionReplace {
		if kept, err = x.remove(ctx, v, live); err != nil {
			return kept, err
		}
	}
	if err := x.releaseSpare(ctx, v); err != nil {
		return kept, err
	}
	switch what {
	case actionRecreate, actionReplace, actionRebind:
		err := x.bindAgain(ctx, d, what != actionRebind)
		if errors.Is(err, cluster.ErrNotFound) {
			// What is gone cannot be put back, and must not prevent what still exists from running again.
			x.Reporter.Note(err.Error())
			x.gone = append(x.gone, d.Volume)
			return kept, nil
		}
		if err != nil {
			return kept, err
		}
	}
	if d == nil || d.Volume == "" {
		return kept, nil
	}
	return kept, x.Cluster.UnmarkDisplaced(ctx, *d)
}

// bindAgain makes the displaced claim again, if it does not exist, and waits until it is bound to its volume.
func (x *run) bindAgain(ctx context.Context, d *cluster.Displaced, create bool) error {
	if create {
		if err := x.Cluster.AwaitClaimGone(ctx, x.op.Claim(d.Claim.Name), d.UID, x.limits.Claim); err != nil {
			return err
		}
	}
	if d.Volume != "" {
		if err := x.Cluster.RebindVolume(ctx, *d); err != nil {
			return err
		}
	}
	if create {
		if _, err := x.Cluster.CreateFinalClaim(ctx, d.Claim); err != nil {
			return err
		}
	}
	if d.Volume == "" {
		return nil
	}
	return x.Cluster.AwaitBound(ctx, x.op.Claim(d.Claim.Name), d.Volume, x.limits.Claim)
}
