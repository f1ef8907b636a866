package cluster

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

type podPhase int

const (
	podWaiting podPhase = iota // not running yet
	podRunning
	podEnded // the mover's container has ended, or will never run
)

// Reasons of our own, beside those of Kubernetes.
const (
	reasonDeleted = "Deleted" // somebody deleted the pod while it ran
	reasonGone    = "Gone"    // the pod or its Job no longer exists
	// reasonNotStarted: Kubernetes gives no reason why the pod does not start.
	reasonNotStarted = "NotStarted"
	// reasonUnbound: the claim that the pod is to mount has no volume yet.
	reasonUnbound = "Unbound"
	// reasonStalled: the pod runs, but makes no progress.
	reasonStalled = "Stalled"
	// reasonNodeLost: the pod's node does not answer.
	reasonNodeLost = "NodeLost"
	// reasonRefused is Kubernetes' own: the Job controller could not make the pod.
	reasonRefused = "FailedCreate"
)

// podState is what a mover's pod is doing.
type podState struct {
	phase podPhase
	// reason and message say why the pod waits, or how it failed; empty if all is well or nothing is known.
	reason, message string
	// fatal: waiting longer cannot help.
	fatal bool
	// ok: the container ended with exit code 0.
	ok bool
	// exitCode is the container's exit code; -1 if it has none.
	exitCode int32
	// termination is the container's termination message.
	termination string
}

// classifyPod reads the state of a mover's pod.
func classifyPod(pod *corev1.Pod) podState {
	status := moverStatus(pod)
	switch {
	case status != nil && status.State.Terminated != nil:
		return endedState(pod, status.State.Terminated)
	case pod.Status.Phase == corev1.PodFailed:
		// The pod was evicted, preempted or rejected by the kubelet: no container says why.
		return podState{phase: podEnded, exitCode: -1, reason: cmp.Or(pod.Status.Reason, "Failed"),
			message: cmp.Or(pod.Status.Message, disruption(pod))}
	case pod.DeletionTimestamp != nil:
		return podState{phase: podEnded, exitCode: -1, reason: reasonDeleted,
			message: cmp.Or(disruption(pod), "the pod was deleted while it ran (a drained node?)")}
	case status != nil && status.State.Running != nil:
		return podState{phase: podRunning}
	case status != nil && status.State.Waiting != nil:
		return waitingState(status.State.Waiting)
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return podState{reason: condition.Reason, message: condition.Message}
		}
	}
	return podState{}
}

func moverStatus(pod *corev1.Pod) *corev1.ContainerStatus {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == moverContainer {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}

func endedState(pod *corev1.Pod, ended *corev1.ContainerStateTerminated) podState {
	state := podState{phase: podEnded, exitCode: ended.ExitCode, termination: ended.Message, ok: ended.ExitCode == 0}
	if state.ok {
		return state
	}
	state.reason = cmp.Or(ended.Reason, "Error")
	switch {
	case ended.Reason == "OOMKilled":
		state.message = "it used more memory than its limit allows"
	case ended.Reason == "Error" && disruption(pod) != "":
		state.reason, state.message = reasonDeleted, disruption(pod)
	case ended.Signal != 0:
		state.message = fmt.Sprintf("signal %d", ended.Signal)
	default:
		state.message = fmt.Sprintf("exit code %d", ended.ExitCode)
	}
	return state
}

func waitingState(waiting *corev1.ContainerStateWaiting) podState {
	state := podState{reason: waiting.Reason, message: waiting.Message}
	switch {
	case isFatalImageReason(waiting.Reason):
		state.fatal = true
	case waiting.Reason == "ContainerCreating", waiting.Reason == "PodInitializing":
		// The pod starts in the usual way; only events say what delays it.
		return podState{}
	}
	return state
}

// disruption is what Kubernetes says about a pod that it removed.
func disruption(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue {
			return condition.Message
		}
	}
	return ""
}

// isFatalImageReason reports whether a container can never have its image.
func isFatalImageReason(reason string) bool {
	return reason == "InvalidImageName" || reason == "ErrImageNeverPull"
}

// isImageReason reports whether a container waits for an image that cannot be pulled.
func isImageReason(reason string) bool {
	return reason == "ErrImagePull" || reason == "ImagePullBackOff" || reason == "RegistryUnavailable"
}

// isFinalRefusal reports whether a pod was refused for a reason that will not change: Pod Security, a
// LimitRange, a webhook, or a quota that is too small for the pod even if nobody else uses it. A quota that is
// used up may have room again, and an API server that has just started may not know its rules yet.
func isFinalRefusal(reason, message string) bool {
	if reason != reasonRefused || mayPass(message) {
		return false
	}
	return strings.Contains(message, "forbidden") || strings.Contains(message, "denied")
}

// patienceFor is how long to wait in a state that will hardly pass by itself; zero for other states.
func patienceFor(state podState) time.Duration {
	switch {
	case isImageReason(state.reason):
		return imageTimeout
	case isFinalRefusal(state.reason, state.message):
		return refusedTimeout
	default:
		return 0
	}
}
