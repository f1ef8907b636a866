package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// MoverConfig is what all movers of an operation share.
type MoverConfig struct {
	// Image holds stsbackup as its entry point.
	Image string
	// ServiceAccount for the pods, which get no token of it. Empty: one is made for the operation.
	ServiceAccount string
	// Repo is the repository's URL as movers reach it; the engines put it into Mover.Args.
	Repo string
	// Files gives what goes into a Secret that is owned by the mover's Job and mounted at contract.Files, readable by the mover
	// alone. It is asked when a mover starts, and again while it runs if what it gave expires. Nil gives nothing.
	Files func(context.Context) (KeyFiles, error)
	// Env is added to the container's environment; nothing secret belongs here.
	Env map[string]string
	// Resources are the container's requests and limits.
	Resources corev1.ResourceRequirements
	// StartTimeout is how long a mover may take to be scheduled, to get its image and its volume, before it is given
	// up with the reason that Kubernetes shows. Zero means 5 minutes. An image that cannot be pulled is given up
	// after a minute at most.
	StartTimeout time.Duration
	// StallTimeout is how long a mover may run without getting on, before it is given up. Zero means 15 minutes. While the API
	// server or the mover's log is out of reach, nobody can say that it does not.
	StallTimeout time.Duration
	// Sign reads from a line of the log how far a mover is. Nil takes every line that is another than the one before for
	// progress. A mover whose log never says how far it is may take as long as it likes.
	Sign func(line []byte) Sign
}

// Mover is one run of stsbackup volume in a pod, with one claim mounted at contract.Volume.
type Mover struct {
	Operation Operation
	// Name is the Job's name; see Operation.VolumeName.
	Name string
	// Ordinal and Claim say for labels and messages whose data this is: the final claim, not a temporary one. Without a
	// claim it is nobody's.
	Ordinal int32
	Claim   string
	// Mount is the claim to mount; without one, no volume is.
	Mount string
	// ReadOnly mounts it read-only.
	ReadOnly bool
	// Args follow the image's entry point.
	Args []string
	// Capabilities are all that the container may have beyond none at all.
	Capabilities []corev1.Capability
	Placement    Placement
	// Waiting, if set, is told what keeps the mover from running, each time that changes, and "" once when it runs (a
	// mover may have ended before anybody saw it run). Calls come one at a time.
	Waiting func(reason string)
	// Busy, if set, reports whether other movers of the operation run, which will give back what a quota counts for them.
	Busy func() bool
}

// Placement says where a mover may run.
type Placement struct {
	// Node is the one node that will do; empty for any. It binds through affinity, so that the scheduler still
	// checks that the pod fits there and binds its claim.
	Node string
	// The rest is as in a pod's spec.
	NodeSelector  map[string]string
	Affinity      *corev1.Affinity
	Tolerations   []corev1.Toleration
	SchedulerName string
	// SELinux must match the label of the volume's files where SELinux is enforced.
	SELinux *corev1.SELinuxOptions
}

// PlacementLike lets a mover run wherever a pod of this spec may run. Affinity and spread between pods are left out:
// they are about the pod's neighbours, of which the mover is none.
func PlacementLike(spec *corev1.PodSpec) Placement {
	placement := Placement{NodeSelector: spec.NodeSelector, Tolerations: spec.Tolerations, SchedulerName: spec.SchedulerName}
	if spec.Affinity != nil && spec.Affinity.NodeAffinity != nil {
		placement.Affinity = &corev1.Affinity{NodeAffinity: spec.Affinity.NodeAffinity}
	}
	if spec.SecurityContext != nil {
		placement.SELinux = spec.SecurityContext.SELinuxOptions
	}
	return placement
}

// MoverError says that a mover ran and failed, or could not run.
type MoverError struct {
	// Pod is "namespace/name", or the Job's if there never was a pod.
	Pod string
	// Reason is one word of Kubernetes' or ours: "Unschedulable", "ImagePullBackOff", "OOMKilled", "Error".
	Reason string
	// Message is what there is to say about it, in words.
	Message string
	// ExitCode is the mover's own; -1 if it has none.
	ExitCode int32
	// Log holds the last lines of the mover's log, if it has one.
	Log []string
	// Note is what else may have to do with it: that it could not be given new keys.
	Note string
}

// OfEveryMover reports whether any other mover would fail of the same: they all run one image.
func (e *MoverError) OfEveryMover() bool {
	return isImageReason(e.Reason) || isFatalImageReason(e.Reason)
}

// Error gives all that is known, and the next step where one is known.
func (e *MoverError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "mover pod %s: %s", e.Pod, e.Reason)
	if e.Message != "" {
		fmt.Fprintf(&text, ": %s", e.Message)
	}
	if len(e.Log) > 0 {
		fmt.Fprintf(&text, "; its last log lines: %s", strings.Join(e.Log, " | "))
	}
	if e.Note != "" {
		fmt.Fprintf(&text, "; %s", e.Note)
	}
	if next := nextStep(e.Reason, e.Message); next != "" {
		fmt.Fprintf(&text, "; %s", next)
	}
	return text.String()
}

// nextStep says what to do about a reason, of which the message is Kubernetes' own.
func nextStep(reason, message string) string {
	if reason == reasonRefused && strings.Contains(message, "service account") {
		return "make that ServiceAccount in the namespace, or leave --mover-service-account out"
	}
	switch reason {
	case "Unschedulable", "SchedulerError":
		return "make room on a node that may run it, or raise --mover-start-timeout if nodes are being added"
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable":
		return "give an image that the nodes can pull with --image (or STSBACKUP_IMAGE), and a ServiceAccount that has the registry's " +
			"pull secret with --mover-service-account"
	case reasonNotStarted, reasonUnbound, "ProvisioningFailed":
		return "look at the events of the pod and of its claim, and raise --mover-start-timeout if its volume just takes longer to be made"
	case "OOMKilled":
		return "give movers more memory with --mover-limits memory=… (or the policy's backup.moverResources)"
	case "Evicted", reasonDeleted, reasonGone:
		return "run the command again"
	case "FailedMount", "FailedAttachVolume", "FailedMapVolume":
		return "look at the storage driver of the claim"
	case reasonRefused:
		return "let the namespace admit the mover pod (quota, LimitRange, Pod Security, admission webhooks), or change what it asks for with " +
			"--mover-requests and --mover-limits"
	case reasonStalled:
		return "check that the bucket can be reached from that node, and that the volume's storage answers there; raise " +
			"--mover-stall-timeout if it is just that slow"
	case reasonNodeLost:
		return "find out what happened to the node, and run the command again"
	default:
		return ""
	}
}
