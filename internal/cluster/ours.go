package cluster

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// All that an object says about itself tells whether an operation made it. Labels alone prove nothing: somebody
// may have copied them with a manifest, or set them by hand. So we read the operation and the claim from labels
// and annotations, and compute anew the name that this operation gives to such an object. Only an object with
// that name, and with the shape of what we make, is ours.

const (
	// backPart ends the name of the mover that removes what a restore has written.
	backPart = "back"
	// accountPart ends the name of the movers' account.
	accountPart = "mover"
	// probePart ends the name of the mover that only tests whether movers can run.
	probePart = "probe"
	// maxPodBase is how much of its Job's name a pod's name contains at most; random letters follow.
	maxPodBase = 58
)

// origin says where an object comes from, by its own marks: the operation, without its Kind; and the claim, if
// the object stands for one.
type origin struct {
	Operation
	ordinal  string
	template string // empty: the object stands for the operation as a whole
}

// originOf reads the marks of an object; false if no operation makes such marks.
func originOf(object metav1.Object) (origin, bool) {
	labels, annotations := object.GetLabels(), object.GetAnnotations()
	o := origin{Operation: Operation{
		ID: labels[LabelOperation], Namespace: object.GetNamespace(), StatefulSet: annotations[AnnotationStatefulSet],
	}}
	if !isOperationID(o.ID) || o.StatefulSet == "" {
		return origin{}, false
	}
	want := o.Labels()
	if claim := annotations[AnnotationClaim]; claim != "" {
		ordinal, err := strconv.ParseInt(labels[LabelOrdinal], 10, 32)
		template, found := strings.CutSuffix(claim, "-"+o.StatefulSet+"-"+labels[LabelOrdinal])
		if err != nil || ordinal < 0 || !found || template == "" {
			return origin{}, false
		}
		o.ordinal, o.template = labels[LabelOrdinal], template
		want = o.VolumeLabels(int32(ordinal), claim)
	}
	for key, value := range want {
		if labels[key] != value {
			return origin{}, false
		}
	}
	return o, true
}

// isOperationID reports whether an id has the form of an operation's id: a time and some hex digits.
func isOperationID(id string) bool {
	stamp, random, _ := strings.Cut(id, "-")
	_, err := time.Parse("20060102T150405Z", stamp)
	digits, hexErr := hex.DecodeString(random)
	return err == nil && hexErr == nil && len(digits) >= 2 && strings.ToLower(random) == random
}

// gives reports whether the operation names the object of these parts like this, now or in an earlier version.
func (o origin) gives(name string, parts ...string) bool {
	return name == o.Name(parts...) || name == o.earlierName(parts...)
}

// givesVolume is gives for an object that stands for a claim.
func (o origin) givesVolume(name string) bool {
	return o.template != "" && o.gives(name, o.ordinal, o.template)
}

// givesMover is gives for a mover's Job.
func (o origin) givesMover(name string) bool {
	return o.givesVolume(name) || o.template != "" && o.gives(name, o.ordinal, o.template, backPart) ||
		o.template == "" && o.gives(name, probePart)
}

// jobOrigin is the origin of a mover's Job; false if the Job is not ours.
func jobOrigin(job *batchv1.Job) (origin, bool) {
	o, ok := originOf(job)
	return o, ok && o.givesMover(job.Name) && job.Labels[LabelMover] == job.Name &&
		len(job.OwnerReferences) == 0 && hasMover(job.Spec.Template.Spec)
}

// podOrigin is the origin of a mover's pod; false if the pod is not ours. Its Job may be gone, and the reference with it.
func podOrigin(pod *corev1.Pod) (origin, bool) {
	o, ok := originOf(pod)
	job := pod.Labels[LabelMover]
	owner := metav1.GetControllerOf(pod)
	if !ok || !o.givesMover(job) || !isPodOf(pod.Name, job) || !hasMover(pod.Spec) {
		return origin{}, false
	}
	return o, owner == nil && len(pod.OwnerReferences) == 0 || owner != nil && owner.Kind == "Job" && owner.Name == job
}

// isPodOf reports whether the Job controller can have given this name to a pod of the Job.
func isPodOf(pod, job string) bool {
	base := job + "-"
	base = base[:min(len(base), maxPodBase)]
	return len(pod) > len(base) && strings.HasPrefix(pod, base)
}

// hasMover reports whether a pod has the one container of a mover. There may be injected containers, too.
func hasMover(spec corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == moverContainer })
}

// claimOrigin is the origin of a temporary claim; false if the claim is not ours. The StatefulSet's own claims,
// which a restore makes and movers fill, have other names.
func claimOrigin(claim *corev1.PersistentVolumeClaim) (origin, bool) {
	o, ok := originOf(claim)
	source := claim.Spec.DataSource
	return o, ok && o.givesVolume(claim.Name) && len(claim.OwnerReferences) == 0 &&
		source != nil && source.Kind == "VolumeSnapshot" && source.APIGroup != nil && *source.APIGroup == snapshotGroup
}

// volumeSnapshotOrigin is the origin of a VolumeSnapshot of one of the StatefulSet's claims; false if the
// VolumeSnapshot is not ours.
func volumeSnapshotOrigin(vs *snapshotv1.VolumeSnapshot) (origin, bool) {
	o, ok := originOf(vs)
	source := vs.Spec.Source.PersistentVolumeClaimName
	return o, ok && o.givesVolume(vs.Name) && len(vs.OwnerReferences) == 0 &&
		source != nil && *source == vs.Annotations[AnnotationClaim]
}

// taken explains that an object of the operation could not be made because another object has its name.
func (o Operation) taken(what string, other metav1.Object, err error) error {
	whose := "it is none of stsbackup's"
	switch labels := other.GetLabels(); {
	case labels[LabelManagedBy] != ManagedBy:
	case labels[LabelOperation] == LabelValue(o.ID) && other.GetAnnotations()[AnnotationStatefulSet] == o.StatefulSet:
		whose = "this operation has made it before"
	default:
		whose = fmt.Sprintf("its labels say that it belongs to operation %s on StatefulSet %s", labels[LabelOperation], labels[LabelStatefulSet])
	}
	return fmt.Errorf("create %s %s/%s: %w, and %s; run the command again, which takes another name",
		what, other.GetNamespace(), other.GetName(), err, whose)
}

// accountOrigin is the origin of the movers' account; false if the account is not ours.
func accountOrigin(account *corev1.ServiceAccount) (origin, bool) {
	o, ok := originOf(account)
	return o, ok && o.template == "" && o.gives(account.Name, accountPart) && len(account.OwnerReferences) == 0
}
