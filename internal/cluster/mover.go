package cluster

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// What a mover finds in its container.
const (
	// MoverVolume is where the claim is mounted.
	MoverVolume = "/volume"
	// MoverFiles is the folder of MoverConfig.Files.
	MoverFiles = "/etc/stsbackup"
	// MoverResult is the file whose content becomes the result of RunMover.
	MoverResult = "/dev/termination-log"
)

// MoverConfig is what all movers of an operation share.
type MoverConfig struct {
	// Image holds stsbackup as its entry point.
	Image string
	// ServiceAccount for the pods, which get no token of it. Empty: one is made for the operation.
	ServiceAccount string
	// Repo is the repository's URL as movers reach it; the engines put it into Mover.Args.
	Repo string
	// Files go into a Secret that is owned by the mover's Job and mounted at MoverFiles, readable by the mover alone.
	Files map[string][]byte
	// Env is added to the container's environment; nothing secret belongs here.
	Env map[string]string
	// Resources are the container's requests and limits.
	Resources corev1.ResourceRequirements
	// StartTimeout is how long a mover may take to be scheduled, to get its image and its volume, before it is given
	// up with the reason that Kubernetes shows. Zero means 5 minutes. An image that cannot be pulled is given up
	// after a minute at most.
	StartTimeout time.Duration
}

// Mover is one run of stsbackup volume in a pod, with one claim mounted at MoverVolume.
type Mover struct {
	Operation Operation
	// Name is the Job's name; see Operation.VolumeName.
	Name string
	// Ordinal and Claim say for labels and messages whose data this is: the final claim, not a temporary one.
	Ordinal int32
	Claim   string
	// Mount is the claim to mount.
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
	if next := nextStep(e.Reason); next != "" {
		fmt.Fprintf(&text, "; %s", next)
	}
	return text.String()
}

// nextStep says what to do about a reason.
func nextStep(reason string) string {
	switch reason {
	case "Unschedulable", "SchedulerError":
		return "make room on a node that may run it, or raise --mover-start-timeout if nodes are being added"
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable":
		return "give an image that the nodes can pull with --image (or STSBACKUP_IMAGE), and a ServiceAccount that has the registry's " +
			"pull secret with --mover-service-account"
	case reasonNotStarted, reasonUnbound, "ProvisioningFailed":
		return "look at the events of the pod and of its claim, and raise --mover-start-timeout if its volume only takes that long to be made"
	case "OOMKilled":
		return "give movers more memory with --mover-limits memory=… (or the policy's backup.moverResources)"
	case "Evicted", reasonDeleted, reasonGone:
		return "run the command again"
	case "FailedMount", "FailedAttachVolume", "FailedMapVolume":
		return "look at the storage driver of the claim"
	case "FailedCreate":
		return "let the namespace admit the mover pod (quota, Pod Security, admission webhooks)"
	default:
		return ""
	}
}
