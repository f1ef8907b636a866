package displaced

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// Situation is the input of a plan: what is known about one StatefulSet's volumes.
type Situation struct {
	Namespace, StatefulSet string
	// Volumes are what List returns, Pods the pods of the namespace.
	Volumes []Volume
	Pods    []corev1.Pod
	// Attached maps the names of volumes to the nodes to which they are attached.
	Attached map[string]string
	// Restore says in words which restore has begun and not ended; empty if there is none.
	Restore string
}

// Look reads the situation of a StatefulSet. Neither the StatefulSet nor its namespace need exist any more.
func Look(ctx context.Context, client *cluster.Client, namespace, statefulSet string) (Situation, error) {
	s := Situation{Namespace: namespace, StatefulSet: statefulSet, Attached: map[string]string{}}
	var err error
	if s.Volumes, err = List(ctx, client, namespace, statefulSet); err != nil || len(s.Volumes) == 0 {
		return s, err
	}
	if s.Restore, err = restoreUnderWay(ctx, client, namespace, statefulSet); err != nil {
		return s, err
	}
	if s.Pods, err = client.Pods(ctx, namespace); err != nil {
		return s, err
	}
	attachments, err := client.Kube.StorageV1().VolumeAttachments().List(ctx, metav1.ListOptions{})
	if err != nil {
		return s, fmt.Errorf("list VolumeAttachments, which tell whether a node still has a volume: %w", err)
	}
	for _, a := range attachments.Items {
		if name := a.Spec.Source.PersistentVolumeName; name != nil {
			s.Attached[*name] = a.Spec.NodeName
		}
	}
	return s, nil
}

// restoreUnderWay looks for the journal of a restore. While there is one, the restore may have to put back what it set aside.
func restoreUnderWay(ctx context.Context, client *cluster.Client, namespace, statefulSet string) (string, error) {
	journal, err := client.Journal(ctx, cluster.Key{Namespace: namespace, Name: statefulSet})
	if err != nil || journal == nil {
		return "", err
	}
	return fmt.Sprintf("a restore of recovery point %s has begun and has not ended (phase %q)",
		journal.Data[cluster.JournalPointKey], journal.Data[cluster.JournalPhaseKey]), nil
}

// user says who uses a volume that no claim holds; empty if nobody does.
func (s *Situation) user(v *Volume) string {
	for i := range s.Pods {
		if pod := &s.Pods[i]; mounts(pod, v) {
			return "pod " + pod.Namespace + "/" + pod.Name
		}
	}
	if node, attached := s.Attached[v.Name]; attached {
		return "node " + node + ", which it is attached to"
	}
	return ""
}

// mounts reports whether a pod may have the volume mounted under the claim from which it was set aside. Such a
// pod runs, and ran before the present claim of that name existed. Claims outlive the pods that use them,
// unless somebody removes the claims' protection.
func mounts(pod *corev1.Pod, v *Volume) bool {
	if pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	if !v.claimed.IsZero() && (pod.Status.StartTime == nil || !pod.Status.StartTime.Time.Before(v.claimed)) {
		return false
	}
	for _, volume := range pod.Spec.Volumes {
		if source := volume.PersistentVolumeClaim; source != nil && source.ClaimName == v.Claim {
			return true
		}
	}
	return false
}
