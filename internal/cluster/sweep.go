package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
)

// Swept is the result of a sweep.
type Swept struct {
	// Removed names the objects that are gone.
	Removed []string
	// Left are the objects that do not go.
	Left []*Leftover
}

// MayRun reports whether something may still run in a pod of that name that the sweep has left.
func (s Swept) MayRun(pod string) bool {
	return slices.ContainsFunc(s.Left, func(l *Leftover) bool { return l.Pod == pod && l.MayRun })
}

// Sweep removes what other operations on the same StatefulSet have left in the cluster. Call it with the
// StatefulSet's Lease held: then all other operations are dead. It removes only what such an operation made,
// judged by labels, annotations, shape, and the name that the operation gives to such an object. Anything else
// with our labels stays. What does not go in time is in Swept.Left, and may block what comes next. The error
// says what could not be read or deleted.
func (c *Client) Sweep(ctx context.Context, current Operation, removing Removing) (Swept, error) {
	return c.remove(ctx, current, selection.NotEquals, removing)
}

// Cleanup removes all that the operation itself has made and not removed yet.
func (c *Client) Cleanup(ctx context.Context, op Operation, removing Removing) (Swept, error) {
	return c.remove(ctx, op, selection.Equals, removing)
}

// remove deletes all objects of the operations that relate to op in this way, in the order that Kubernetes
// enforces. It goes on after a failure, because half a cleanup is better than none.
func (c *Client) remove(ctx context.Context, op Operation, relation selection.Operator, removing Removing) (Swept, error) {
	selector, err := operationSelector(op, relation)
	if err != nil {
		return Swept{}, err
	}
	s := &sweep{
		Client: c, namespace: op.Namespace, options: metav1.ListOptions{LabelSelector: selector}, waiting: removing.Waiting,
		deadline: c.now().Add(removing.limit()),
		meant: func(o origin) bool {
			return o.Namespace == op.Namespace && o.StatefulSet == op.StatefulSet && (o.ID == op.ID) == (relation == selection.Equals)
		},
	}
	var failures []error
	for _, step := range []func(context.Context) error{s.movers, s.claims, s.volumeSnapshots, s.accounts} {
		failures = append(failures, step(ctx))
	}
	return s.swept, errors.Join(failures...)
}

// operationSelector selects the objects of op, or those of all other operations on its StatefulSet.
func operationSelector(op Operation, relation selection.Operator) (string, error) {
	selector := labels.NewSelector()
	for _, part := range []struct {
		key      string
		operator selection.Operator
		values   []string
	}{
		{LabelManagedBy, selection.Equals, []string{ManagedBy}},
		{LabelStatefulSet, selection.Equals, []string{LabelValue(op.StatefulSet)}},
		{LabelOperation, selection.Exists, nil},
		{LabelOperation, relation, []string{LabelValue(op.ID)}},
	} {
		requirement, err := labels.NewRequirement(part.key, part.operator, part.values)
		if err != nil {
			return "", fmt.Errorf("select objects of %s: %w", op, err)
		}
		selector = selector.Add(*requirement)
	}
	return selector.String(), nil
}

// sweep is one Sweep or Cleanup under way.
type sweep struct {
	*Client
	namespace string
	options   metav1.ListOptions
	// meant says whether the objects of this origin are to go.
	meant    func(origin) bool
	waiting  func(string)
	deadline time.Time
	swept    Swept
}

// half is how long a step may wait, so that some time is left for the next step.
func (s *sweep) half() time.Duration { return s.deadline.Sub(s.now()) / 2 }

// note records what became of deleted objects, which are given by name: those in left are not gone.
func (s *sweep) note(deleted []string, left []*Leftover) {
	for _, name := range deleted {
		if !slices.ContainsFunc(left, func(l *Leftover) bool { return l.Object == name }) {
			s.swept.Removed = append(s.swept.Removed, name)
		}
	}
	s.swept.Left = append(s.swept.Left, left...)
}

// movers removes Jobs and their pods. Kubernetes removes the Secrets with the Jobs that own them. A Secret that
// has a Job's name need not be ours, and to check it would take the right to read Secrets.
func (s *sweep) movers(ctx context.Context) error {
	jobs, err := s.deleteJobs(ctx)
	owners := map[types.UID]bool{}
	for _, job := range jobs {
		owners[job.UID] = true
	}
	mine := func(pod *corev1.Pod) bool {
		o, ours := podOrigin(pod)
		return ours && s.meant(o) && s.ownerIsOurs(ctx, pod, owners)
	}
	// This also removes pods whose Job is gone already.
	left, podErr := s.removePods(ctx, s.namespace, s.options.LabelSelector, mine, s.half(), s.waiting)
	staying, stayErr := s.stayingJobs(ctx, jobs)
	var names []string
	for _, job := range jobs {
		names = append(names, "Job "+job.Namespace+"/"+job.Name)
	}
	s.note(names, append(left, staying...))
	return errors.Join(err, podErr, stayErr)
}

// deleteJobs deletes the movers' Jobs, and returns those that were there.
func (s *sweep) deleteJobs(ctx context.Context) (deleted []batchv1.Job, err error) {
	var failures []error
	done := map[types.UID]bool{}
	for range judgeAgain {
		list, err := s.Kube.BatchV1().Jobs(s.namespace).List(ctx, s.options)
		if err != nil {
			return deleted, errors.Join(append(failures, fmt.Errorf("list mover Jobs in %s: %w", s.namespace, err))...)
		}
		changed := false
		for i := range list.Items {
			job := &list.Items[i]
			if o, ours := jobOrigin(job); !ours || !s.meant(o) || done[job.UID] {
				continue
			}
			err := s.deleteJob(ctx, job, *exactly(job).Preconditions)
			if apierrors.IsConflict(err) {
				changed = true
				continue
			}
			done[job.UID] = true
			if err != nil {
				failures = append(failures, fmt.Errorf("delete mover Job %s/%s: %w", job.Namespace, job.Name, err))
				continue
			}
			deleted = append(deleted, *job)
		}
		if !changed {
			break
		}
	}
	return deleted, errors.Join(failures...)
}

// stayingJobs are those of the deleted Jobs that still exist; they also keep their Secrets.
func (s *sweep) stayingJobs(ctx context.Context, deleted []batchv1.Job) (left []*Leftover, err error) {
	if len(deleted) == 0 {
		return nil, nil
	}
	list, err := s.Kube.BatchV1().Jobs(s.namespace).List(ctx, s.options)
	if err != nil {
		return nil, fmt.Errorf("list mover Jobs in %s: %w", s.namespace, err)
	}
	for i := range list.Items {
		job := &list.Items[i]
		if slices.ContainsFunc(deleted, func(d batchv1.Job) bool { return d.Name == job.Name && d.UID == job.UID }) {
			left = append(left, &Leftover{Object: "Job " + job.Namespace + "/" + job.Name, Reason: whyHeld(job), Next: "find out who " +
				"has set them"})
		}
	}
	return left, nil
}

// ownerIsOurs reports whether the Job of a pod is a mover's, too, or gone. owners are Jobs known to be ours;
// ownerIsOurs adds to them.
func (s *sweep) ownerIsOurs(ctx context.Context, pod *corev1.Pod, owners map[types.UID]bool) bool {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return true
	}
	if ours, known := owners[owner.UID]; known {
		return ours
	}
	job, err := s.Kube.BatchV1().Jobs(s.namespace).Get(ctx, owner.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) || err == nil && job.UID != owner.UID:
		owners[owner.UID] = true
	case err == nil:
		_, owners[owner.UID] = jobOrigin(job)
	}
	return owners[owner.UID]
}

// claims removes temporary claims with their volumes.
func (s *sweep) claims(ctx context.Context) error {
	list, err := s.Kube.CoreV1().PersistentVolumeClaims(s.namespace).List(ctx, s.options)
	if err != nil {
		return fmt.Errorf("list temporary claims in %s: %w", s.namespace, err)
	}
	ours := func(claim *corev1.PersistentVolumeClaim) bool {
		o, ours := claimOrigin(claim)
		return ours && s.meant(o)
	}
	var failures []error
	var names, volumes []string
	free := map[string]bool{} // claims that nothing keeps, as far as known
	var left []*Leftover
	for i := range list.Items {
		claim := &list.Items[i]
		if !ours(claim) {
			continue
		}
		volume, stays, err := s.deleteTemporary(ctx, claim.Namespace, claim.Name, ours)
		failures = append(failures, err, stays)
		if volume == nil {
			continue
		}
		names, volumes = append(names, "temporary claim "+claim.Namespace+"/"+claim.Name), append(volumes, *volume)
		at := slices.IndexFunc(s.swept.Left, func(l *Leftover) bool { return slices.Contains(l.Mounts, claim.Name) })
		if at >= 0 {
			left = append(left, &Leftover{Object: names[len(names)-1], Reason: "it goes after " + s.swept.Left[at].Object})
			continue
		}
		free[claim.Name] = true
	}
	view := s.claimsView(s.namespace)
	view.options = s.options
	mine := func(claim *corev1.PersistentVolumeClaim) bool { return free[claim.Name] && ours(claim) }
	if len(free) > 0 {
		staying, err := s.awaitClaims(ctx, view, mine, s.half(), s.waiting)
		left, failures = append(left, staying...), append(failures, err)
	}
	s.note(names, left)
	until := s.now().Add(min(volumeGoneWithin, s.half()))
	for _, volume := range volumes {
		failures = append(failures, s.awaitVolume(ctx, volume, until.Sub(s.now()), s.waiting))
	}
	return errors.Join(failures...)
}

// volumeSnapshots removes VolumeSnapshots with their data.
func (s *sweep) volumeSnapshots(ctx context.Context) error {
	list, err := s.Snapshots.SnapshotV1().VolumeSnapshots(s.namespace).List(ctx, s.options)
	if apierrors.IsNotFound(err) {
		return nil // a cluster without the VolumeSnapshot API
	}
	if err != nil {
		return fmt.Errorf("list VolumeSnapshots in %s: %w", s.namespace, err)
	}
	ours := func(vs *snapshotv1.VolumeSnapshot) bool {
		o, ours := volumeSnapshotOrigin(vs)
		return ours && s.meant(o)
	}
	var failures []error
	for i := range list.Items {
		vs := &list.Items[i]
		if !ours(vs) {
			continue
		}
		name, remaining := "VolumeSnapshot "+vs.Namespace+"/"+vs.Name, s.deadline.Sub(s.now())
		if remaining <= 0 {
			s.swept.Left = append(
				s.swept.Left,
				&Leftover{Object: name, Reason: "there was no time left to delete it; the next operation on this StatefulSet does"},
			)
			continue
		}
		deleted, left, err := s.deleteVolumeSnapshot(ctx, vs.Namespace, vs.Name, ours, Removing{Limit: remaining, Waiting: s.waiting})
		s.swept.Left = append(s.swept.Left, left...)
		switch {
		case err != nil:
			failures = append(failures, fmt.Errorf("remove %s: %w", name, err))
		case deleted && len(left) == 0:
			s.swept.Removed = append(s.swept.Removed, name)
		}
	}
	return errors.Join(failures...)
}

// accounts removes the movers' ServiceAccounts.
func (s *sweep) accounts(ctx context.Context) error {
	accounts := s.Kube.CoreV1().ServiceAccounts(s.namespace)
	var failures []error
	for range judgeAgain {
		list, err := accounts.List(ctx, s.options)
		if err != nil {
			return errors.Join(append(failures, fmt.Errorf("list mover ServiceAccounts in %s: %w", s.namespace, err))...)
		}
		changed := false
		for i := range list.Items {
			account := &list.Items[i]
			if o, ours := accountOrigin(account); !ours || !s.meant(o) || account.DeletionTimestamp != nil {
				continue
			}
			err := accounts.Delete(ctx, account.Name, exactly(account))
			switch {
			case err == nil:
				s.swept.Removed = append(s.swept.Removed, "ServiceAccount "+account.Namespace+"/"+account.Name)
			case apierrors.IsConflict(err):
				changed = true
			case !apierrors.IsNotFound(err):
				failures = append(failures, fmt.Errorf("remove ServiceAccount %s/%s: %w", account.Namespace, account.Name, err))
			}
		}
		if !changed {
			break
		}
	}
	return errors.Join(failures...)
}
