package displaced

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

const (
	// goneWithin is how long we wait for drivers to delete what was freed.
	goneWithin = 2 * time.Minute
	// looks is how often to look again at a volume that keeps changing.
	looks = 3
	// releaseWithin bounds the release of the Lease.
	releaseWithin = 10 * time.Second
)

// Discarder frees volumes that were set aside.
type Discarder struct {
	Cluster *cluster.Client
	// Holder tells people who has the StatefulSet's Lease.
	Holder string
	// Note is told what a person may want to know meanwhile.
	Note func(message string)
}

// Report says which volumes were freed, and which were not.
type Report struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	// Freed are the volumes that are deleted or that any claim can take now, Bytes their total size.
	Freed []Freeing `json:"freed"`
	Bytes int64     `json:"bytes"`
	// Failed are the volumes that could not be freed.
	Failed []Failed `json:"failed,omitempty"`
}

// Failed is a volume that could not be freed.
type Failed struct {
	Volume string `json:"volume"`
	Claim  string `json:"claim"`
	Error  string `json:"error"`
}

// Run frees the plan's volumes, as operation op. The error names each volume that could not be freed. If
// nothing was changed, the error is a *cluster.Refusal, or the plan's own.
func (d *Discarder) Run(ctx context.Context, op cluster.Operation, plan Plan) (Report, error) {
	report := Report{Namespace: plan.Namespace, StatefulSet: plan.StatefulSet, Freed: []Freeing{}}
	if err := plan.Err(); err != nil || len(plan.Volumes) == 0 {
		return report, err
	}
	given, err := d.giveUp(ctx, op, plan, &report)
	if err == nil {
		err = d.awaitDeleted(ctx, given, &report)
	}
	for _, v := range report.Freed {
		report.Bytes += v.Size
	}
	return report, errors.Join(err, report.failure())
}

// failure names what could not be freed.
func (r *Report) failure() error {
	if len(r.Failed) == 0 {
		return nil
	}
	var each []string
	for _, f := range r.Failed {
		each = append(each, fmt.Sprintf("volume %s (claim %s): %s", f.Volume, f.Claim, f.Error))
	}
	return fmt.Errorf("%d of %d volumes of %s/%s were not freed: %s",
		len(r.Failed), len(r.Failed)+len(r.Freed), r.Namespace, r.StatefulSet, strings.Join(each, "; "))
}

func (r *Report) fail(v *Freeing, reason string) {
	r.Failed = append(r.Failed, Failed{Volume: v.Name, Claim: v.Claim, Error: reason})
}

// giveUp changes the volumes while nobody else works on the StatefulSet. It returns the volumes that their drivers now have to delete.
func (d *Discarder) giveUp(ctx context.Context, op cluster.Operation, plan Plan, report *Report) (given []Freeing, err error) {
	ctx, release, err := d.acquire(ctx, op)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	for i := range plan.Volumes {
		v := &plan.Volumes[i]
		if ctx.Err() != nil {
			report.fail(v, "not begun: "+context.Cause(ctx).Error())
			continue
		}
		err := d.giveUpOne(ctx, op, v)
		var refusal *cluster.Refusal
		switch {
		case err == nil && v.Provisioned:
			given = append(given, *v)
		case err == nil:
			report.Freed = append(report.Freed, *v)
		case errors.As(err, &refusal) && i == 0 && refusal.Object == plan.object():
			return nil, err // nothing was changed, and nothing will be
		default:
			report.fail(v, err.Error())
		}
	}
	return given, nil
}

// acquire takes the StatefulSet's Lease. If the namespace is gone, no Lease can exist, and nobody else wants one.
func (d *Discarder) acquire(ctx context.Context, op cluster.Operation) (context.Context, func() error, error) {
	lease, err := d.Cluster.Acquire(ctx, op, cluster.LeaseOptions{Holder: fmt.Sprintf("%s by %s", op, d.Holder), Waiting: d.Note, Brief: true})
	if errors.Is(err, cluster.ErrNotFound) {
		d.Note(
			fmt.Sprintf("Namespace %s is gone, and with it the Lease that would keep others from %s; going on without.", op.Namespace, op.Object()),
		)
		return ctx, func() error { return nil }, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return lease.Context(), func() error {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
		defer cancel()
		return lease.Release(clean)
	}, nil
}

// giveUpOne looks at the situation once more, and changes exactly the version of the volume that it has seen there.
func (d *Discarder) giveUpOne(ctx context.Context, op cluster.Operation, agreed *Freeing) error {
	var err error
	for range looks {
		var now Volume
		if now, err = d.confirm(ctx, op, &agreed.Volume); err != nil {
			return err
		}
		if now.Provisioned {
			err = d.Cluster.DeleteVolume(ctx, now.Name, now.UID, now.ResourceVersion)
		} else {
			err = d.Cluster.GiveUpVolume(ctx, now.Name, now.UID, now.ResourceVersion)
		}
		if !errors.Is(err, cluster.ErrChanged) {
			return err
		}
	}
	return err
}

// confirm reads the volume again, and fails if it is not the volume that was agreed to, or may no longer be freed.
func (d *Discarder) confirm(ctx context.Context, op cluster.Operation, agreed *Volume) (Volume, error) {
	s, err := Look(ctx, d.Cluster, op.Namespace, op.StatefulSet)
	if err != nil {
		return Volume{}, err
	}
	return confirmed(s, agreed)
}

// confirmed finds the agreed volume in a situation, if it may be freed in that situation.
func confirmed(s Situation, agreed *Volume) (Volume, error) {
	at := slices.IndexFunc(s.Volumes, func(v Volume) bool { return v.Name == agreed.Name && v.UID == agreed.UID })
	if at < 0 {
		return Volume{}, fmt.Errorf("it is gone, or no longer set aside: %w", cluster.ErrChanged)
	}
	s.Volumes = s.Volumes[at : at+1]
	plan := NewPlan(s, Request{})
	if err := plan.Err(); err != nil {
		return Volume{}, err
	}
	if len(plan.Volumes) == 0 {
		return Volume{}, fmt.Errorf("%s: %w", plan.Left[0].Because, cluster.ErrChanged)
	}
	now := plan.Volumes[0].Volume
	if now.By != agreed.By || now.Claim != agreed.Claim || now.Provisioned != agreed.Provisioned {
		return Volume{}, fmt.Errorf("it was set aside once more, by %s: %w", now.By, cluster.ErrChanged)
	}
	return now, nil
}

// awaitDeleted waits until drivers have deleted the volumes that they have to delete.
func (d *Discarder) awaitDeleted(ctx context.Context, given []Freeing, report *Report) error {
	if len(given) == 0 {
		return nil
	}
	volumes := map[string]types.UID{}
	for _, v := range given {
		volumes[v.Name] = v.UID
	}
	left, err := d.Cluster.AwaitVolumesGone(ctx, volumes, goneWithin, func(remaining int) {
		d.Note(fmt.Sprintf("Waiting up to %s until %s has deleted %d of %d volumes", goneWithin, given[0].Driver, remaining, len(given)))
	})
	for i := range given {
		v := &given[i]
		why, remains := left[v.Name]
		switch {
		case err != nil:
			report.fail(v, "it is set to be deleted, but nobody knows yet whether its driver has done so")
		case remains:
			report.fail(v, fmt.Sprintf("it is set to be deleted, which %s has not done within %s: %s", v.Driver, goneWithin, why))
		default:
			report.Freed = append(report.Freed, *v)
		}
	}
	return err
}
