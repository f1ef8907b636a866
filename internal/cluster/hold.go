package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// RestoringGate is the scheduling gate that a restore puts into the pod template. Whoever creates a pod with
// this gate, Kubernetes never schedules it, so it never mounts a volume.
const RestoringGate = "stsbackup.io/restoring"

// Gated reports whether pods with this spec wait for the end of a restore.
func Gated(spec *corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.SchedulingGates, func(g corev1.PodSchedulingGate) bool { return g.Name == RestoringGate })
}

// gates returns the spec's gates, with or without ours.
func gates(spec *corev1.PodSpec, held bool) []corev1.PodSchedulingGate {
	others := slices.DeleteFunc(slices.Clone(spec.SchedulingGates), func(g corev1.PodSchedulingGate) bool { return g.Name == RestoringGate })
	if held {
		return append(others, corev1.PodSchedulingGate{Name: RestoringGate})
	}
	return others
}

// MayRun reports whether a pod may have written to its volumes, or may still do so: it is not gated (a gated
// pod was never scheduled) and has not ended.
func MayRun(pod *corev1.Pod) bool {
	return !Gated(&pod.Spec) && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// Uses reports whether the pod mounts the claim.
func Uses(pod *corev1.Pod, claim string) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
	})
}

// RunningOn names the pods that may write to a claim; "" if there are none. Gated pods cannot write.
func RunningOn(pods []corev1.Pod, claim string) string {
	var names []string
	for i := range pods {
		if MayRun(&pods[i]) && Uses(&pods[i], claim) {
			names = append(names, "pod "+pods[i].Name)
		}
	}
	return strings.Join(names, ", ")
}

// EndedOn names the pods that used a claim, have ended, and still exist. It leaves movers out, because the
// caller knows what they did.
func EndedOn(pods []corev1.Pod, claim string) string {
	var names []string
	for i := range pods {
		pod := &pods[i]
		if _, mover := podOrigin(pod); !mover && !MayRun(pod) && !Gated(&pod.Spec) && Uses(pod, claim) {
			names = append(names, "pod "+pod.Name)
		}
	}
	return strings.Join(names, ", ")
}

// Pods lists the pods of a namespace.
func (c *Client) Pods(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	pods, err := c.Kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the pods of namespace %s: %w", namespace, err)
	}
	return pods.Items, nil
}

// Hold changes the StatefulSet of that uid in one step: it scales it to 0, adds RestoringGate to new pods, and keeps the claims
// whatever happens to the StatefulSet. The error wraps ErrChanged if the StatefulSet is gone, or another one has its name.
func (c *Client) Hold(ctx context.Context, key Key, uid types.UID) (*appsv1.StatefulSet, error) {
	sts, err := c.SetScale(ctx, key, uid, Scale{Replicas: new(int32(0)), Held: new(true), Retention: keepClaims()})
	if err != nil {
		return nil, err
	}
	if !Gated(&sts.Spec.Template.Spec) {
		return nil, fmt.Errorf("hold the pods of %s: the API server does not keep the scheduling gate %s in the pod template "+
			"(it takes Kubernetes 1.27; or does an admission webhook take it off?): without it, pods could start on volumes that are not complete",
			key.Object(), RestoringGate)
	}
	return sts, nil
}

// keepClaims is the policy that keeps claims whatever happens to their StatefulSet.
func keepClaims() *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy {
	keep := appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	return &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: keep, WhenDeleted: keep}
}

// ScaleToZero scales the StatefulSet of that uid to 0 and keeps its claims, in one step.
func (c *Client) ScaleToZero(ctx context.Context, key Key, uid types.UID) (*appsv1.StatefulSet, error) {
	return c.SetScale(ctx, key, uid, Scale{Replicas: new(int32(0)), Retention: keepClaims()})
}

// AwaitHeld waits until no pod of the StatefulSet can run. That is when the controller has seen the StatefulSet as Hold
// left it, makes all pods from the gated template, and all existing pods are gated. (With a partition, the controller makes
// some pods from an older template until it has seen 0 pods.) AwaitHeld returns the StatefulSet as it was then. After limit
// the error says which pod remains, and why.
func (c *Client) AwaitHeld(ctx context.Context, sts *appsv1.StatefulSet, limit time.Duration) (held *appsv1.StatefulSet, err error) {
	if err := c.AwaitNoPods(ctx, sts, limit); err != nil {
		return nil, err
	}
	sets := c.Kube.AppsV1().StatefulSets(sts.Namespace)
	view := viewOf[*appsv1.StatefulSet](KeyOf(sts).Object(), metav1.ListOptions{}, sets.List, sets.Watch).named(sts.Name)
	why := func(context.Context) string {
		return fmt.Sprintf(
			"StatefulSet %s/%s has no pods, and its controller still holds on to revision %s beside %s: is kube-controller-manager running?",
			sts.Namespace,
			sts.Name,
			held.Status.CurrentRevision,
			held.Status.UpdateRevision,
		)
	}
	sayer := c.sayer(limit)
	err = within(ctx, limit, func(ctx context.Context) error {
		return await(ctx, c.relist(), view, func(found []*appsv1.StatefulSet) (bool, error) {
			if len(found) == 0 || found[0].UID != sts.UID {
				return false, fmt.Errorf("StatefulSet %s/%s was deleted or made anew: %w", sts.Namespace, sts.Name, ErrChanged)
			}
			if held = found[0]; !Gated(&held.Spec.Template.Spec) {
				return false, fmt.Errorf("StatefulSet %s/%s: somebody took the scheduling gate %s off its pod template: %w",
					sts.Namespace, sts.Name, RestoringGate, ErrChanged)
			}
			if !oneRevision(held) {
				sayer.say(func() string { return why(ctx) })
				return false, nil
			}
			return true, nil
		})
	}, why)
	return held, err
}

// oneRevision reports whether the controller makes all pods from the present template from now on. Below a
// RollingUpdate's partition it makes pods of the current revision; that becomes the new revision once there are no pods.
func oneRevision(sts *appsv1.StatefulSet) bool {
	return !Partitioned(sts) || sts.Status.CurrentRevision == sts.Status.UpdateRevision
}

// Partitioned reports whether the controller makes the pods of some ordinals from an older template than the present one.
func Partitioned(sts *appsv1.StatefulSet) bool {
	rolling := sts.Spec.UpdateStrategy.RollingUpdate
	return rolling != nil && rolling.Partition != nil && *rolling.Partition > 0
}

// ungate removes the gated pods of a StatefulSet that is no longer held. These pods have never run. The
// controller makes them again from the present template.
func (c *Client) ungate(ctx context.Context, pods []*corev1.Pod) error {
	for _, pod := range pods {
		if !Gated(&pod.Spec) || pod.DeletionTimestamp != nil {
			continue
		}
		if err := c.endPod(ctx, pod); err != nil {
			return fmt.Errorf("remove pod %s/%s, which waits for the end of a restore: %w", pod.Namespace, pod.Name, err)
		}
	}
	return nil
}
