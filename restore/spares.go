package restore

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// assignSpares gives every volume whose class has no provisioner a PersistentVolume of its own. The plan
// chooses it, and not the binder, so that the pairing of ordinals and volumes is known, shown and repeatable.
func (p *Plan) assignSpares() {
	taken := map[string]bool{}
	lacking := map[string][]string{} // by class
	for i := range p.Volumes {
		v := &p.Volumes[i]
		if !p.situation.static(v) {
			continue
		}
		if v.Spare != "" { // an interrupted restore has taken one
			taken[v.Spare] = true
			v.manifest.Spec.VolumeName = v.Spare
			continue
		}
		spare := p.situation.chooseSpare(v, taken)
		if spare == nil {
			lacking[v.Class] = append(lacking[v.Class], v.Claim)
			continue
		}
		taken[spare.Name] = true
		v.Spare = spare.Name
		v.manifest.Spec.VolumeName = spare.Name
	}
	for _, class := range slices.Sorted(maps.Keys(lacking)) {
		p.refuseSpares(class, lacking[class])
	}
}

// static reports whether people make the volume, and no provisioner.
func (x *index) static(v *Volume) bool {
	found := x.classes[v.Class]
	return v.classless || found != nil && found.Provisioner == cluster.NoProvisioner
}

// chooseSpare takes the volume that is reserved for the claim if there is one, else one in the same place as
// the present volume, else one where the ordinal ran; among equals, the smallest.
func (x *index) chooseSpare(v *Volume, taken map[string]bool) *corev1.PersistentVolume {
	present := x.volumes[v.Present.Volume]
	rank := func(spare *corev1.PersistentVolume) int {
		switch {
		case spare.Spec.ClaimRef != nil:
			return 0
		case present != nil && equality.Semantic.DeepEqual(spare.Spec.NodeAffinity, present.Spec.NodeAffinity):
			return 1
		case v.Node != "" && onlyOn(spare, v.Node):
			return 2
		default:
			return 3
		}
	}
	var best *corev1.PersistentVolume
	for i := range x.Volumes {
		spare := &x.Volumes[i]
		if taken[spare.Name] || !fits(spare, v) {
			continue
		}
		if best == nil || cmp.Or(
			cmp.Compare(rank(spare), rank(best)),
			spare.Spec.Capacity.Storage().Cmp(*best.Spec.Capacity.Storage()),
			strings.Compare(spare.Name, best.Name)) < 0 {
			best = spare
		}
	}
	return best
}

// fits reports whether the binder would accept the volume for the claim, and nobody else has a right to the volume.
func fits(spare *corev1.PersistentVolume, v *Volume) bool {
	claim := &v.manifest
	return spare.DeletionTimestamp == nil && spare.Status.Phase == corev1.VolumeAvailable && reservedFor(spare, claim) &&
		matches(spare, v) && spare.Spec.Capacity.Storage().Value() >= v.Size
}

// matches is fits, but ignores who owns the volume, and its size.
func matches(spare *corev1.PersistentVolume, v *Volume) bool {
	claim := &v.manifest
	if spare.Spec.StorageClassName != v.Class || cluster.IsBlock(spare.Spec.VolumeMode) {
		return false
	}
	for _, mode := range claim.Spec.AccessModes {
		if !slices.Contains(spare.Spec.AccessModes, mode) {
			return false
		}
	}
	if claim.Spec.Selector == nil {
		return true
	}
	selector, err := metav1.LabelSelectorAsSelector(claim.Spec.Selector)
	return err == nil && selector.Matches(labels.Set(spare.Labels))
}

func reservedFor(spare *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) bool {
	ref := spare.Spec.ClaimRef
	return ref == nil || ref.UID == "" && ref.Namespace == claim.Namespace && ref.Name == claim.Name
}

// onlyOn reports whether only the named node can use the volume.
func onlyOn(volume *corev1.PersistentVolume, node string) bool {
	if volume.Spec.NodeAffinity == nil || volume.Spec.NodeAffinity.Required == nil {
		return false
	}
	for _, term := range volume.Spec.NodeAffinity.Required.NodeSelectorTerms {
		for _, e := range term.MatchExpressions {
			if e.Key == corev1.LabelHostname && e.Operator == corev1.NodeSelectorOpIn && slices.Equal(e.Values, []string{node}) {
				return true
			}
		}
	}
	return false
}

// refuseSpares says how many volumes are missing, and which ones could be freed.
func (p *Plan) refuseSpares(class string, claims []string) {
	var sample *Volume
	for i := range p.Volumes {
		if p.Volumes[i].Claim == claims[0] {
			sample = &p.Volumes[i]
		}
	}
	of := "without a class"
	if class != "" {
		of = "of class " + class
	}
	next := fmt.Sprintf("create %d more PersistentVolumes %s, of at least %s, or free one that is no longer needed", len(claims), of,
		sample.manifest.Spec.Resources.Requests.Storage())
	var freeable []string
	for i := range p.situation.Volumes {
		volume := &p.situation.Volumes[i]
		if volume.Status.Phase == corev1.VolumeReleased && matches(volume, sample) {
			freeable = append(freeable, fmt.Sprintf("%s (last used by %s): %s", volume.Name, lastUser(volume), cluster.FreeCommand(volume)))
		}
	}
	if len(freeable) > 0 {
		next += ", after emptying it: " + strings.Join(freeable, "; ")
	}
	p.refuseAbout(
		"claims "+strings.Join(claims, ", "),
		fmt.Sprintf(
			"volumes %s are not provisioned on demand, the present ones are kept, and there are not enough Available ones to restore into",
			of,
		),
		next,
	)
}

func lastUser(volume *corev1.PersistentVolume) string {
	if ref := volume.Spec.ClaimRef; ref != nil {
		return "claim " + ref.Namespace + "/" + ref.Name
	}
	return "nobody"
}
