package restore

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Situation is the input of a plan: the recovery point, and the cluster's objects as they were read.
type Situation struct {
	// Record is the recovery point to restore.
	Record catalog.Record
	// Cluster is the UID of the cluster into which to restore.
	Cluster string
	// StatefulSet is the StatefulSet to restore.
	StatefulSet *appsv1.StatefulSet
	// Claims, Pods, Autoscalers and Quotas are those of its namespace.
	Claims      []corev1.PersistentVolumeClaim
	Pods        []corev1.Pod
	Autoscalers []autoscalingv2.HorizontalPodAutoscaler
	Quotas      []corev1.ResourceQuota
	// Managers are the objects of other tools that would change it.
	Managers []cluster.Manager
	// Volumes and Classes are those of the whole cluster.
	Volumes []corev1.PersistentVolume
	Classes []storagev1.StorageClass
	// Journal is the journal of an earlier, unfinished restore; nil if there is none.
	Journal *Journal
}

// Look reads the situation of the StatefulSet in the cluster. The error wraps cluster.ErrNotFound if the
// StatefulSet does not exist.
func Look(ctx context.Context, c *cluster.Client, record catalog.Record, namespace, statefulSet string) (Situation, error) {
	s := Situation{Record: record}
	var err error
	if s.StatefulSet, err = c.StatefulSet(ctx, namespace, statefulSet); err != nil {
		return Situation{}, err
	}
	if s.Cluster, err = c.UID(ctx); err != nil {
		return Situation{}, err
	}
	if s.Journal, err = readJournal(ctx, c, cluster.KeyOf(s.StatefulSet)); err != nil {
		return Situation{}, err
	}
	if s.Managers, err = c.Managers(ctx, s.StatefulSet); err != nil {
		return Situation{}, err
	}
	if err := s.list(ctx, c, namespace); err != nil {
		return Situation{}, fmt.Errorf("look at what a restore of %s/%s would meet: %w", namespace, statefulSet, err)
	}
	if s.Journal != nil {
		s.dropMovers()
		s.Journal.reopen(newIndex(s))
	}
	return s, nil
}

// dropMovers removes the movers of the interrupted operation from the input of the plan.
func (s *Situation) dropMovers() {
	s.Pods = slices.DeleteFunc(s.Pods, func(pod corev1.Pod) bool { return s.Journal.movedBy(&pod) })
}

// movedBy reports whether the pod is a mover of the interrupted operation. A plan treats such a pod as gone,
// because the sweep ends it before anything is done. Run does not rely on that: each step lists the pods anew.
func (j *Journal) movedBy(pod *corev1.Pod) bool {
	return pod.Labels[cluster.LabelManagedBy] == cluster.ManagedBy &&
		slices.ContainsFunc(append(j.Others[:len(j.Others):len(j.Others)], j.Operation), func(id string) bool {
			return pod.Labels[cluster.LabelOperation] == cluster.LabelValue(id)
		})
}

// list reads the objects of which there may be several.
func (s *Situation) list(ctx context.Context, c *cluster.Client, namespace string) (err error) {
	if s.Claims, err = c.Claims(ctx, namespace); err != nil {
		return err
	}
	if s.Pods, err = c.Pods(ctx, namespace); err != nil {
		return err
	}
	if s.Autoscalers, err = c.Autoscalers(ctx, namespace); err != nil {
		return err
	}
	if s.Quotas, err = c.Quotas(ctx, namespace); err != nil {
		return err
	}
	if s.Volumes, err = c.Volumes(ctx); err != nil {
		return err
	}
	s.Classes, err = c.StorageClasses(ctx)
	return err
}
