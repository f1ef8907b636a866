package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// removeLimit is the default of Removing.Limit.
	removeLimit = 2 * time.Minute
	// removeTell is how long a removal waits silently.
	removeTell = 5 * time.Second
	// mostTold is how many objects a message names at most.
	mostTold = 3
)

// Removing says how long a removal may take, and whom it tells what it waits for.
type Removing struct {
	// Limit bounds all waits of the removal; zero means 2 minutes. What still exists by then goes by itself, or is left.
	Limit time.Duration
	// Waiting, if set, is told what keeps something from going: within 10 s, and again whenever that changes.
	// Calls come one at a time.
	Waiting func(reason string)
}

func (r Removing) limit() time.Duration { return cmp.Or(r.Limit, removeLimit) }

// Leftover is an object that was to be removed and still exists. As an error it says what it is and what to do.
type Leftover struct {
	// Object is what is left: "mover pod demo/stsbackup-20261121t081200z-3fa91c07-5e0f31-0-www-x7k2p".
	Object string
	// Reason says why the object does not go, as far as known.
	Reason string
	// Next says what to do about it; empty if the object goes by itself sooner or later.
	Next string
	// Pod and Node are set if the object is a mover's pod that was scheduled; Pod is without the namespace.
	Pod, Node string
	// Claim is the StatefulSet's claim for which the mover worked, whether it mounts that claim or a temporary one.
	Claim string
	// Mounts are the claims that the pod mounts: they cannot go before the pod.
	Mounts []string
	// Ended says that the pod has ended, and was asked to go: whoever else waits for the pod keeps it, and it keeps no claim.
	Ended bool
	// MayRun says that something may still run in the pod: nobody has reported its end.
	MayRun bool
	// MayWrite are those of Mounts that the pod may still write to.
	MayWrite []string
}

// Error says what is left, why, and what to do.
func (l *Leftover) Error() string {
	text := l.Object + " is left: " + l.Reason
	if l.Next != "" {
		text += "; " + l.Next
	}
	return text
}

// podLeftover describes a pod that does not go.
func (c *Client) podLeftover(ctx context.Context, pod *corev1.Pod) *Leftover {
	node, trouble := pod.Spec.NodeName, ""
	if node != "" {
		trouble = c.nodeTrouble(ctx, node)
	}
	left := &Leftover{
		Object: "mover pod " + pod.Namespace + "/" + pod.Name, Pod: pod.Name, Node: node, Claim: pod.Annotations[AnnotationClaim],
		Mounts: mountedClaims(pod, false), MayRun: mayRun(pod), Ended: ended(pod) && pod.DeletionTimestamp != nil && len(pod.Finalizers) > 0,
	}
	left.Reason, left.Next = whyPodStays(pod, trouble, c.now())
	if left.MayRun {
		left.MayWrite = mountedClaims(pod, true)
	}
	return left
}

// whyPodStays says what keeps a pod, and what to do about it. trouble is what is wrong with the pod's node.
func whyPodStays(pod *corev1.Pod, trouble string, now time.Time) (reason, next string) {
	node := pod.Spec.NodeName
	force := fmt.Sprintf("\"kubectl -n %s delete pod %s --force\"", pod.Namespace, pod.Name)
	switch {
	case !mayRun(pod) && len(pod.Finalizers) > 0:
		return "it has ended, and is held by its finalizers " + strings.Join(pod.Finalizers, ", "), "find out who has set them"
	case node == "":
		return whyHeld(pod), ""
	case trouble != "":
		return trouble, fmt.Sprintf("bring node %s back, or once it is known to be off, run %s", node, force)
	case pod.DeletionTimestamp == nil:
		return fmt.Sprintf("it is on node %s and is not being ended", node), ""
	case pod.DeletionTimestamp.After(now):
		return fmt.Sprintf("it is ending on node %s, and has until %s to do so", node, pod.DeletionTimestamp.UTC().Format(time.RFC3339)), ""
	default:
		return fmt.Sprintf("it should have ended on node %s at %s", node, pod.DeletionTimestamp.UTC().Format(time.RFC3339)),
			fmt.Sprintf("check that node %s is up (kubectl describe node %s); once it is known to be off, run %s", node, node, force)
	}
}

// nodeTrouble says what is wrong with a node; empty if nothing is, or if we may not read the node.
func (c *Client) nodeTrouble(ctx context.Context, name string) string {
	node, err := c.Node(ctx, name)
	switch {
	case err != nil:
		return ""
	case node == nil:
		return "its node " + name + " is not in the cluster any more"
	}
	at := slices.IndexFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	if at < 0 || node.Status.Conditions[at].Status == corev1.ConditionTrue {
		return ""
	}
	ready := node.Status.Conditions[at]
	return fmt.Sprintf("its node %s is NotReady since %s (%s)", name, ready.LastTransitionTime.UTC().Format(time.RFC3339),
		cmp.Or(ready.Message, ready.Reason, "no reason is given"))
}

// mayRun reports whether something may still run in a pod, as far as known: a node that is cut off does not tell.
func mayRun(pod *corev1.Pod) bool {
	if pod.Spec.NodeName == "" || ended(pod) {
		return false
	}
	status := moverStatus(pod)
	return status == nil || status.State.Terminated == nil
}

// ended reports whether the node has said that the pod has ended.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// mountedClaims are the claims that a pod mounts; if writable is set, only those to which one of its containers can write.
func mountedClaims(pod *corev1.Pod, writable bool) (claims []string) {
	for _, volume := range pod.Spec.Volumes {
		source := volume.PersistentVolumeClaim
		if source == nil || writable && (source.ReadOnly || !canWrite(pod, volume.Name)) {
			continue
		}
		claims = append(claims, source.ClaimName)
	}
	return claims
}

// canWrite reports whether a container of the pod mounts the volume writable.
func canWrite(pod *corev1.Pod, volume string) bool {
	return slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers), func(c corev1.Container) bool {
		return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume && !m.ReadOnly }) ||
			slices.ContainsFunc(c.VolumeDevices, func(d corev1.VolumeDevice) bool { return d.Name == volume })
	})
}

// leaving is one wait for objects to go.
type leaving[T metav1.Object] struct {
	client *Client
	view   view[T]
	// mine narrows the view to the objects to wait for.
	mine func(T) bool
	// remove deletes one object, in exactly this version; nil if all have been deleted already.
	remove func(context.Context, T) error
	// why describes an object that does not go.
	why func(context.Context, T) *Leftover
	// waiting is Removing.Waiting.
	waiting func(string)

	looked  bool
	left    []T
	deleted map[string]bool  // by name and UID
	failed  map[string]error // why the last attempt failed
	begun   time.Time
	told    string
	asked   time.Time // when why was last called
}

// await waits for at most limit until all objects are gone, and returns those that are left. It looks at least once.
func (l *leaving[T]) await(ctx context.Context, limit time.Duration) ([]*Leftover, error) {
	limited, cancel := WithLimit(ctx, max(limit, awaitTick))
	defer cancel()
	l.begun, l.deleted, l.failed = l.client.now(), map[string]bool{}, map[string]error{}
	err := await(limited, l.client.relist(), l.view, func(objects []T) (bool, error) {
		l.looked, l.left = true, nil
		for _, object := range objects {
			if !l.mine(object) {
				continue
			}
			l.left = append(l.left, object)
			if err := l.delete(ctx, object); err != nil {
				return false, err
			}
		}
		l.tell(ctx)
		return len(l.left) == 0, nil
	})
	if err == nil || !l.looked || limited.Err() == nil || ctx.Err() != nil {
		return nil, err
	}
	var left []*Leftover
	for _, object := range l.left {
		one := l.why(ctx, object)
		if failed := l.failed[identity(object)]; failed != nil {
			one.Reason += " (the last attempt to delete it: " + failed.Error() + ")"
		}
		left = append(left, one)
	}
	return left, nil
}

// delete deletes an object, unless that has been done. It retries after transient errors.
func (l *leaving[T]) delete(ctx context.Context, object T) error {
	key := identity(object)
	if l.remove == nil || object.GetDeletionTimestamp() != nil || l.deleted[key] {
		return nil
	}
	err := l.remove(ctx, object)
	switch {
	case err == nil || apierrors.IsNotFound(err):
		l.deleted[key], l.failed[key] = true, nil
	case apierrors.IsConflict(err): // it has changed: the next look shows how
	case passing(err):
		l.failed[key] = err
	default:
		return err
	}
	return nil
}

func identity(object metav1.Object) string { return object.GetName() + "/" + string(object.GetUID()) }

// tell says what it waits for, once that has taken a while.
func (l *leaving[T]) tell(ctx context.Context) {
	now := l.client.now()
	if l.waiting == nil || len(l.left) == 0 || now.Sub(l.begun) < removeTell || now.Sub(l.asked) < explainEvery {
		return
	}
	l.asked = now
	var texts []string
	for _, object := range l.left[:min(mostTold, len(l.left))] {
		left := l.why(ctx, object)
		texts = append(texts, left.Object+": "+left.Reason)
	}
	text := "waiting until this is gone: " + strings.Join(texts, "; ")
	if more := len(l.left) - len(texts); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	if text != l.told {
		l.told = text
		l.waiting(text)
	}
}

// tellOnce returns a function that says text once, when the wait has taken a while.
func (c *Client) tellOnce(waiting func(string), text string) func() {
	begun, told := c.now(), waiting == nil
	return func() {
		if !told && c.now().Sub(begun) >= removeTell {
			told = true
			waiting(text)
		}
	}
}

// exactly returns the options to delete an object in the version that was judged, and no other that got its name since.
func exactly(object metav1.Object) metav1.DeleteOptions {
	uid, version := object.GetUID(), object.GetResourceVersion()
	return metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}}
}
