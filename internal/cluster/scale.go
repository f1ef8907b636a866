package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

// Scale is what a restore changes in a StatefulSet. Nil fields stay unchanged.
type Scale struct {
	Replicas  *int32
	Retention *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy
	// Held adds RestoringGate to the pod template, or removes it.
	Held *bool
}

// SetScale changes the StatefulSet of that uid in one step, and returns it as changed. The error wraps
// ErrChanged if the StatefulSet is gone, or another one has its name.
func (c *Client) SetScale(ctx context.Context, key Key, uid types.UID, scale Scale) (sts *appsv1.StatefulSet, err error) {
	// The controller and others write to the StatefulSet at the same time, and a patch can only replace a list as a whole.
	conflict := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		sts, err = c.setScale(ctx, key, uid, scale)
		if apierrors.IsConflict(err) {
			return err
		}
		return nil
	})
	if conflict != nil {
		return nil, fmt.Errorf("change %s: %w", key.Object(), conflict)
	}
	return sts, err
}

func (c *Client) setScale(ctx context.Context, key Key, uid types.UID, scale Scale) (*appsv1.StatefulSet, error) {
	spec, metadata := map[string]any{}, map[string]any{"uid": uid}
	if scale.Replicas != nil {
		spec["replicas"] = *scale.Replicas
	}
	if scale.Retention != nil {
		spec["persistentVolumeClaimRetentionPolicy"] = map[string]any{
			"whenScaled": scale.Retention.WhenScaled, "whenDeleted": scale.Retention.WhenDeleted,
		}
	}
	if scale.Held != nil {
		present, err := c.Kube.AppsV1().StatefulSets(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err), err == nil && present.UID != uid:
			return nil, fmt.Errorf("change %s: it was deleted or made anew: %w", key.Object(), ErrChanged)
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", key.Object(), err)
		}
		metadata["resourceVersion"] = present.ResourceVersion
		spec["template"] = map[string]any{"spec": map[string]any{"schedulingGates": gates(&present.Spec.Template.Spec, *scale.Held)}}
	}
	data, err := json.Marshal(map[string]any{"metadata": metadata, "spec": spec})
	if err != nil {
		return nil, err
	}
	sts, err := c.Kube.AppsV1().StatefulSets(key.Namespace).Patch(ctx, key.Name, types.MergePatchType, data, metav1.PatchOptions{})
	switch {
	case apierrors.IsConflict(err) && scale.Held != nil: // another StatefulSet, or another version of the same one: the next try tells
		return nil, err
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return nil, fmt.Errorf("change %s: it was deleted or made anew: %w", key.Object(), ErrChanged)
	case err != nil:
		return nil, fmt.Errorf("change %s: %w", key.Object(), err)
	}
	return sts, nil
}

// AwaitNoPods waits until the controller has seen the StatefulSet as it is in sts, and all of its pods are
// gone, except those that a restore's gate keeps from running. It ends pods that the controller would not end.
// After limit the error says which pod remains, and why.
func (c *Client) AwaitNoPods(ctx context.Context, sts *appsv1.StatefulSet, limit time.Duration) error {
	var remaining []*corev1.Pod
	why := func(context.Context) string { return c.whyPods(sts, remaining) }
	sayer := c.sayer(limit)
	return within(ctx, limit, func(ctx context.Context) error {
		if err := c.awaitObserved(ctx, sts, sayer); err != nil {
			return err
		}
		return await(ctx, c.relist(), c.podsOf(sts), func(pods []*corev1.Pod) (bool, error) {
			remaining = slices.DeleteFunc(pods, func(pod *corev1.Pod) bool { return Gated(&pod.Spec) })
			if len(remaining) == 0 {
				return true, nil
			}
			sayer.say(func() string { return why(ctx) })
			return false, c.endUnready(ctx, sts.Name, remaining)
		})
	}, why)
}

// whyPods says why a StatefulSet that is scaled to 0 still has pods, or that its controller has not noticed the scaling.
func (c *Client) whyPods(sts *appsv1.StatefulSet, remaining []*corev1.Pod) string {
	if len(remaining) == 0 {
		return fmt.Sprintf(
			"the StatefulSet controller does not react to the scaling of %s/%s; is kube-controller-manager running?",
			sts.Namespace,
			sts.Name,
		)
	}
	var reasons []string
	for _, pod := range remaining {
		reasons = append(reasons, "pod "+pod.Name+" "+whyNotGone(pod, c.now()))
	}
	return fmt.Sprintf("StatefulSet %s/%s is scaled to 0, and %s", sts.Namespace, sts.Name, strings.Join(reasons, ", "))
}

// endUnready ends the pod of the highest ordinal, if it is not Ready. The controller of an OrderedReady
// StatefulSet waits for such a pod to become Ready before ending it, unless no other pod is unready. Pods that
// fail on damaged data never become Ready, and restores exist for just such pods.
func (c *Client) endUnready(ctx context.Context, statefulSet string, pods []*corev1.Pod) error {
	last := slices.MaxFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Compare(podOrdinal(a.Name, statefulSet), podOrdinal(b.Name, statefulSet))
	})
	if last.DeletionTimestamp != nil || whyNotReady(last) == "" {
		return nil
	}
	if err := c.endPod(ctx, last); err != nil {
		return fmt.Errorf("end pod %s/%s, which is not Ready and so is not ended by its controller: %w", last.Namespace, last.Name, err)
	}
	return nil
}

// endPod deletes exactly this pod. If the API server does not answer, the next look at the pods tries again.
func (c *Client) endPod(ctx context.Context, pod *corev1.Pod) error {
	err := c.Kube.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || passing(err) {
		return nil
	}
	return err
}

// AwaitReady waits until all pods that the StatefulSet wants are Ready. It has pods replaced that were made
// while the StatefulSet was held. After limit the error says which pod is not Ready, and why.
func (c *Client) AwaitReady(ctx context.Context, sts *appsv1.StatefulSet, limit time.Duration) error {
	var waiting []string
	why := func(context.Context) string {
		return fmt.Sprintf("the pods of StatefulSet %s/%s are not Ready: %s", sts.Namespace, sts.Name, strings.Join(waiting, "; "))
	}
	sayer := c.sayer(limit)
	return within(ctx, limit, func(ctx context.Context) error {
		if err := c.awaitObserved(ctx, sts, sayer); err != nil {
			return err
		}
		view := c.podsOf(sts)
		gated, _, err := view.read(ctx)
		if err == nil {
			err = c.ungate(ctx, sorted(gated))
		}
		if err != nil && !passing(err) {
			return fmt.Errorf("read the pods of StatefulSet %s/%s: %w", sts.Namespace, sts.Name, err)
		}
		return await(ctx, c.relist(), view, func(pods []*corev1.Pod) (bool, error) {
			if waiting = notReady(sts, pods); len(waiting) > 0 {
				sayer.say(func() string { return why(ctx) })
			}
			return len(waiting) == 0, c.ungate(ctx, pods)
		})
	}, why)
}

// awaitObserved waits until the controller acts on the generation in sts, or a later one. Until then, pods that
// it makes for the previous generation may still appear.
func (c *Client) awaitObserved(ctx context.Context, sts *appsv1.StatefulSet, sayer *sayer) error {
	sets := c.Kube.AppsV1().StatefulSets(sts.Namespace)
	view := viewOf[*appsv1.StatefulSet](KeyOf(sts).Object(), metav1.ListOptions{}, sets.List, sets.Watch).named(sts.Name)
	return await(ctx, c.relist(), view, func(found []*appsv1.StatefulSet) (bool, error) {
		if len(found) == 0 || found[0].UID != sts.UID {
			return false, fmt.Errorf("StatefulSet %s/%s has been deleted: %w", sts.Namespace, sts.Name, ErrChanged)
		}
		if found[0].Status.ObservedGeneration >= sts.Generation {
			return true, nil
		}
		sayer.say(func() string { return c.whyPods(sts, nil) })
		return false, nil
	})
}

func (c *Client) podsOf(sts *appsv1.StatefulSet) view[*corev1.Pod] {
	pods := c.Kube.CoreV1().Pods(sts.Namespace)
	view := viewOf[*corev1.Pod]("pods of "+KeyOf(sts).Object(), metav1.ListOptions{}, pods.List, pods.Watch)
	view.match = func(pod *corev1.Pod) bool { return metav1.IsControlledBy(pod, sts) }
	return view
}

// whyNotGone says what keeps a pod of a StatefulSet without replicas.
func whyNotGone(pod *corev1.Pod, now time.Time) string {
	switch {
	case pod.DeletionTimestamp == nil:
		return fmt.Sprintf("is %s and not being ended", pod.Status.Phase)
	case len(pod.Finalizers) > 0:
		return "is ending, held by its finalizers " + strings.Join(pod.Finalizers, ", ")
	case pod.DeletionTimestamp.After(now):
		return fmt.Sprintf(
			"is ending and has until %s to do so (terminationGracePeriodSeconds)",
			pod.DeletionTimestamp.UTC().Format(time.RFC3339),
		)
	default:
		return fmt.Sprintf("should have ended at %s; is node %s up?", pod.DeletionTimestamp.UTC().Format(time.RFC3339), pod.Spec.NodeName)
	}
}

// notReady says, for every pod that the StatefulSet wants and that is not Ready, what the pod waits for.
func notReady(sts *appsv1.StatefulSet, pods []*corev1.Pod) []string {
	var waiting []string
	for _, ordinal := range Ordinals(sts) {
		name := PodName(sts.Name, ordinal)
		i := slices.IndexFunc(pods, func(pod *corev1.Pod) bool { return pod.Name == name })
		if i < 0 {
			missing := name + " is not there yet"
			if len(waiting) == 0 { // other pods may only wait for their turn
				missing += fmt.Sprintf(" (\"kubectl -n %s describe statefulset %s\" says what keeps it from being made)", sts.Namespace, sts.Name)
			}
			waiting = append(waiting, missing)
			continue
		}
		if reason := whyNotReady(pods[i]); reason != "" {
			waiting = append(waiting, name+" "+reason)
		}
	}
	return waiting
}

// whyNotReady says why a pod is not Ready; empty for a Ready pod.
func whyNotReady(pod *corev1.Pod) string {
	if pod.DeletionTimestamp != nil {
		return "is ending"
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			return ""
		}
		if condition.Type == corev1.PodScheduled && condition.Status != corev1.ConditionTrue {
			return "cannot be scheduled: " + condition.Message
		}
	}
	statuses := slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
	for _, status := range statuses {
		state := status.State
		switch {
		case state.Waiting != nil && status.LastTerminationState.Terminated != nil:
			ended := status.LastTerminationState.Terminated
			return strings.TrimSpace(
				fmt.Sprintf(
					"container %s is %s, after exit code %d %s",
					status.Name,
					state.Waiting.Reason,
					ended.ExitCode,
					strings.TrimSpace(ended.Message),
				),
			)
		case state.Waiting != nil && state.Waiting.Reason != "PodInitializing":
			return strings.TrimSpace(fmt.Sprintf("container %s is %s %s", status.Name, state.Waiting.Reason, state.Waiting.Message))
		}
	}
	for _, status := range pod.Status.ContainerStatuses {
		if !status.Ready {
			return fmt.Sprintf("container %s runs and is not ready (\"kubectl -n %s logs %s\")", status.Name, pod.Namespace, pod.Name)
		}
	}
	return fmt.Sprintf("is %s", pod.Status.Phase)
}
