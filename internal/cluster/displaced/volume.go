package displaced

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// Why says why a volume was set aside. It is the value of cluster.AnnotationDisplacedWhy.
type Why string

// The reasons for which volumes are set aside.
const (
	WhyReplaced   Why = cluster.WhyReplaced   // the volume was there before a restore
	WhyIncomplete Why = cluster.WhyIncomplete // a restore made the volume, and did not complete it
	WhyUndone     Why = cluster.WhyUndone     // an undo has put another volume in its place
	WhyUnknown    Why = "unknown"             // the annotation says something else
)

// State is what a volume with the marks of a displaced one is now.
type State string

// The states of volumes with such marks.
const (
	StateAside    State = "set aside"  // no claim holds it, and its data is kept
	StateBound    State = "bound"      // a claim holds it, and so its marks are out of date
	StateReserved State = "reserved"   // it waits for a claim of the name that it had
	StateGoing    State = "going"      // it was given up, and its driver is to delete it; or somebody has deleted it
	StateFree     State = "unreserved" // any claim may take it
)

// Volume is a PersistentVolume with the marks of one that was set aside. Fields that cannot be known are empty; Problem says why.
type Volume struct {
	Name string    `json:"name"`
	UID  types.UID `json:"uid"`
	// ResourceVersion is the PersistentVolume's, as it was read.
	ResourceVersion string `json:"resourceVersion"`
	// Namespace and Claim name the claim from which the volume was set aside; StatefulSet, Template and Ordinal
	// are the parts of the claim's name. Without a StatefulSet, Ordinal is -1.
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet,omitempty"`
	Claim       string `json:"claim"`
	Template    string `json:"template,omitempty"`
	Ordinal     int32  `json:"ordinal"`
	// Size is the volume's capacity in bytes, Class its storage class.
	Size  int64  `json:"size"`
	Class string `json:"class,omitempty"`
	// At is when the volume was set aside, By the operation that did it.
	At  time.Time `json:"at,omitzero"`
	By  string    `json:"by,omitempty"`
	Why Why       `json:"why"`
	// Phase is what Kubernetes says about the volume, State what it is now.
	Phase corev1.PersistentVolumePhase `json:"phase"`
	State State                        `json:"state"`
	// Provisioned says that a provisioner made the volume, Driver which one; Deletes says that deleting the volume deletes its data.
	Provisioned bool   `json:"provisioned"`
	Driver      string `json:"driver,omitempty"`
	Deletes     bool   `json:"deletes"`
	// Policy is the reclaim policy that the volume had before it was set aside; empty if that is not known.
	Policy corev1.PersistentVolumeReclaimPolicy `json:"policy,omitempty"`
	// Now is the volume to which the claim of that name is bound now; empty if there is no such claim or it has no volume.
	Now string `json:"now,omitempty"`
	// Problem says which of the marks cannot be true.
	Problem string `json:"problem,omitempty"`

	// again is what is needed to bind the volume again; nil if that cannot be known.
	again *cluster.Displaced
	// released is when Kubernetes saw that no claim holds the volume any more; zero if that is not known.
	released time.Time
	// claimed is when the present claim of that name was created; zero if there is none.
	claimed time.Time
}

// Displaced is what is needed to bind the volume to a claim of its name again. The error says which of the marks cannot be true.
func (v *Volume) Displaced() (cluster.Displaced, error) {
	if v.again == nil {
		return cluster.Displaced{}, fmt.Errorf("volume %s cannot be bound again as it was: %s", v.Name, v.Problem)
	}
	return *v.again, nil
}

// read makes a Volume from a PersistentVolume, without what only claims tell. It returns false for a volume
// that is not displaced: one without the marks, or one that a claim of another name has taken.
func read(pv *corev1.PersistentVolume) (Volume, bool) {
	from := pv.Annotations[cluster.AnnotationDisplacedFrom]
	if ref := pv.Spec.ClaimRef; ref != nil {
		if from != "" && from != ref.Namespace+"/"+ref.Name {
			return Volume{}, false
		}
		from = ref.Namespace + "/" + ref.Name
	}
	namespace, claim, _ := strings.Cut(from, "/")
	if pv.Labels[cluster.LabelManagedBy] != cluster.ManagedBy || pv.Labels[cluster.LabelDisplacedFrom] != cluster.LabelValue(claim) ||
		len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(claim)) > 0 {
		return Volume{}, false
	}
	v := Volume{
		Name: pv.Name, UID: pv.UID, ResourceVersion: pv.ResourceVersion, Namespace: namespace, Claim: claim, Ordinal: -1,
		Size: pv.Spec.Capacity.Storage().Value(), Class: pv.Spec.StorageClassName,
		By: pv.Annotations[cluster.AnnotationDisplacedBy], Phase: pv.Status.Phase, Provisioned: cluster.Provisioned(pv), Driver: driver(pv),
	}
	v.Deletes = v.Provisioned && !keepsData(pv)
	v.State = stateOf(pv, nil)
	if at := pv.Status.LastPhaseTransitionTime; at != nil && pv.Status.Phase == corev1.VolumeReleased {
		v.released = at.Time
	}
	var problems []string
	for _, err := range []error{v.readName(pv), v.readTime(pv), v.readWhy(pv), v.readPolicy(pv), v.readAgain(pv)} {
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	v.Problem = strings.Join(problems, "; ")
	return v, true
}

// readName finds the StatefulSet, the template and the ordinal in the claim's name. A name alone can be read in
// several ways; the label says which StatefulSet it was, perhaps in a shortened form.
func (v *Volume) readName(pv *corev1.PersistentVolume) error {
	label := pv.Labels[cluster.LabelStatefulSet]
	end := strings.LastIndex(v.Claim, "-")
	for start := range v.Claim {
		if start == 0 || start >= end || v.Claim[start-1] != '-' {
			continue
		}
		template, statefulSet := v.Claim[:start-1], v.Claim[start:end]
		ordinal, ok := cluster.ClaimOrdinal(v.Claim, template, statefulSet)
		if ok && template != "" && cluster.LabelValue(statefulSet) == label && len(validation.IsDNS1123Subdomain(statefulSet)) == 0 {
			v.StatefulSet, v.Template, v.Ordinal = statefulSet, template, ordinal
			return nil
		}
	}
	return fmt.Errorf("claim %s is none of a StatefulSet %q", v.Claim, label)
}

func (v *Volume) readTime(pv *corev1.PersistentVolume) error {
	text := pv.Annotations[cluster.AnnotationDisplacedAt]
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("%.40q is not a time at which it can have been set aside", text)
	}
	v.At = at.UTC()
	return nil
}

func (v *Volume) readWhy(pv *corev1.PersistentVolume) error {
	text, found := pv.Annotations[cluster.AnnotationDisplacedWhy]
	switch why := Why(text); {
	case !found:
		v.Why = WhyReplaced // the only reason before there were several
	case slices.Contains([]Why{WhyReplaced, WhyIncomplete, WhyUndone}, why):
		v.Why = why
	default:
		v.Why = WhyUnknown
		return fmt.Errorf("%.40q is not a reason to set a volume aside", text)
	}
	return nil
}

func (v *Volume) readPolicy(pv *corev1.PersistentVolume) error {
	policy := corev1.PersistentVolumeReclaimPolicy(pv.Annotations[cluster.AnnotationDisplacedPolicy])
	switch policy {
	case corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain, corev1.PersistentVolumeReclaimRecycle:
		v.Policy = policy
		return nil
	default:
		return fmt.Errorf("%.40q is not a reclaim policy that it can have had", policy)
	}
}

// readAgain finds what is needed to bind the volume again, unless any claim may take the volume.
func (v *Volume) readAgain(pv *corev1.PersistentVolume) error {
	if pv.Spec.ClaimRef == nil {
		return nil
	}
	again, err := cluster.ParseDisplaced(pv, v.Namespace)
	if err != nil {
		return err
	}
	v.again = &again
	return nil
}

// stateOf says what a volume with marks is now; claim is the present claim of the name from which it was set
// aside, nil if there is none.
func stateOf(pv *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) State {
	ref := pv.Spec.ClaimRef
	switch {
	case claim != nil && ref != nil && claim.UID == ref.UID:
		return StateBound
	case pv.DeletionTimestamp != nil:
		return StateGoing
	case ref == nil:
		return StateFree
	case ref.UID == "" || claim != nil && cluster.Binding(pv, claim):
		return StateReserved
	case pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete:
		return StateGoing
	default:
		return StateAside
	}
}

// driver is the driver that keeps the data.
func driver(pv *corev1.PersistentVolume) string {
	if pv.Spec.CSI != nil {
		return pv.Spec.CSI.Driver
	}
	return pv.Annotations["pv.kubernetes.io/provisioned-by"]
}

// keepsData reports whether the driver was told to keep the data of a volume that it deletes. Classes of some
// file server drivers can say so.
func keepsData(pv *corev1.PersistentVolume) bool {
	if pv.Spec.CSI == nil {
		return false
	}
	for key, value := range pv.Spec.CSI.VolumeAttributes {
		if strings.EqualFold(key, "onDelete") && !strings.EqualFold(value, "delete") && value != "" {
			return true
		}
	}
	return false
}
