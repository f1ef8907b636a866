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
	podEnded // the mover's container has ended, or never will run
)

// Reasons of ours beside those of Kubernetes.
const (
	reasonDeleted = "Deleted" // somebody deleted the pod while it ran
	reasonGone    = "Gone"    // the pod or its Job is not there any more
	// reasonNotStarted: Kubernetes shows no reason why it does not start.
	reasonNotStarted = "NotStarted"
	// reasonUnbound: the claim that it is to mount has no volume yet.
	reasonUnbound = "Unbound"
	// reasonStalled: it runs, and does not get on.
	reasonStalled = "Stalled"
	// reasonNodeLost: its node does not answer.
	reasonNodeLost = "NodeLost"
	// reasonRefused is Kubernetes': the Job controller could not make the pod.
	reasonRefused = "FailedCreate"
)

// podState is what a mover's pod is doing.
type podState struct {
	phase podPhase
	// reason and message say why it waits or how it ended badly; empty if all is well or nothing is known.
	reason, message string
	// fatal: waiting longer cannot help.
	fatal bool
	// ok: the container ended with exit code 0.
	ok bool
	// exitCode is the container's, -1 if it has none.
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
		// Evicted, preempted, rejected by the kubelet: no container ever tells.
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
		// The ordinary way up; whatever holds it up is told by events only.
		return podState{}
	}
	return state
}

// disruption is what Kubernetes says about a pod that it took away.
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

// isImageReason reports whether a container waits for its image in vain.
func isImageReason(reason string) bool {
	return reason == "ErrImagePull" || reason == "ImagePullBackOff" || reason == "RegistryUnavailable"
}

// isFinalRefusal reports whether a pod was refused by what will refuse it again: Pod Security, a LimitRange, a webhook, a quota
// that it does not fit into whatever others use. A quota that is used up may have room again, and an API server that has
// just started may not know yet.
func isFinalRefusal(reason, message string) bool {
	if reason != reasonRefused || mayPass(message) {
		return false
	}
	return strings.Contains(message, "forbidden") || strings.Contains(message, "denied")
}

// patienceFor is how long a state is waited for that will hardly pass by itself; zero for others.
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
