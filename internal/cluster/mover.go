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
	// Image is the image whose entry point is stsbackup.
	Image string
	// ServiceAccount is the account of the pods, which get no token for it. Empty: RunMover makes one for the operation.
	ServiceAccount string
	// Repo is the repository's URL as movers reach it; the engines put it into Mover.Args.
	Repo string
	// Files returns what goes into a Secret that the mover's Job owns, mounted at contract.Files and readable only by the
	// mover. RunMover calls it when a mover starts, and again while the mover runs if what it returned expires. Nil: no files.
	Files func(context.Context) (KeyFiles, error)
	// Env is added to the container's environment; put nothing secret here.
	Env map[string]string
	// Resources are the container's requests and limits.
	Resources corev1.ResourceRequirements
	// StartTimeout is how long a mover may take to be scheduled and to get its image and its volume. After that,
	// RunMover gives up on it with the reason that Kubernetes shows. Zero means 5 minutes. RunMover gives up on an
	// image that cannot be pulled after a minute at most.
	StartTimeout time.Duration
	// StallTimeout is how long a mover may run without progress before RunMover gives up on it. Zero means 15 minutes.
	// While the API server or the mover's log is out of reach, nobody can say that the mover makes no progress.
	StallTimeout time.Duration
	// Sign reads from a line of the log how far a mover is. Nil takes every line that differs from the one before
	// for progress. A mover whose log never says how far it is may take as long as it likes.
	Sign func(line []byte) Sign
}

// Mover is one run of stsbackup volume in a pod, with one claim mounted at contract.Volume.
type Mover struct {
	Operation Operation
	// Name is the Job's name; see Operation.VolumeName.
	Name string
	// Ordinal and Claim say, for labels and messages, whose data this is: Claim is the final claim, not a
	// temporary one. Without a claim the data is nobody's.
	Ordinal int32
	Claim   string
	// Mount is the claim to mount; empty: the mover mounts no volume.
	Mount string
	// ReadOnly mounts the claim read-only.
	ReadOnly bool
	// Args follow the image's entry point.
	Args []string
	// Capabilities are the only capabilities that the container gets.
	Capabilities []corev1.Capability
	Placement    Placement
	// Waiting, if set, is told what keeps the mover from running, each time that the reason changes, and "" once
	// when the mover runs (it may have ended before anybody saw it run). Calls come one at a time.
	Waiting func(reason string)
	// Busy, if set, reports whether other movers of the operation run: when they end, they give quota back.
	Busy func() bool
}

// Placement says where a mover may run.
type Placement struct {
	// Node is the only node that will do; empty for any. It is set through affinity, so that the scheduler still
	// checks that the pod fits there, and binds its claim.
	Node string
	// The other fields are as in a pod's spec.
	NodeSelector  map[string]string
	Affinity      *corev1.Affinity
	Tolerations   []corev1.Toleration
	SchedulerName string
	// SELinux must match the label of the volume's files where SELinux is enforced.
	SELinux *corev1.SELinuxOptions
}

// PlacementLike lets a mover run wherever a pod of this spec may run. It leaves out affinity and spread between
// pods: they are about the pod's neighbours, and the mover is not one of these.
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
	// Pod is "namespace/name"; the Job's if there never was a pod.
	Pod string
	// Reason is one word, from Kubernetes or from us: "Unschedulable", "ImagePullBackOff", "OOMKilled", "Error".
	Reason string
	// Message explains the reason in words.
	Message string
	// ExitCode is the mover's exit code; -1 if it has none.
	ExitCode int32
	// Log holds the last lines of the mover's log, if it has one.
	Log []string
	// Note is what else may be a cause: that the mover could not be given new keys.
	Note string
}

// OfEveryMover reports whether any other mover would fail for the same reason, because they all run one image.
func (e *MoverError) OfEveryMover() bool {
	return isImageReason(e.Reason) || isFatalImageReason(e.Reason)
}

// Error says all that is known, and the next step if one is known.
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

// nextStep says what to do about a reason; message is Kubernetes' own.
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
