package restore

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

const (
	provisionedByMark   = "pv.kubernetes.io/provisioned-by"
	annotationPoint     = "stsbackup.io/recovery-point"
	annotationOperation = "stsbackup.io/operation"
)

// volume plans one claim: what it will be like, and what happens to the present one.
func (p *Plan) volume(template *corev1.PersistentVolumeClaim, recorded *catalog.Volume, claim string) Volume {
	v := Volume{
		Ordinal: recorded.Ordinal, Template: template.Name, Claim: claim, SourceClaim: recorded.Claim,
		RepositorySnapshot: recorded.RepositorySnapshot, Cut: recorded.Cut, Files: recorded.Files, Bytes: recorded.Bytes,
		Node: recorded.Node, Zone: recorded.Zone, recorded: recorded, now: p.situation.place(claim),
	}
	if cluster.IsBlock(template.Spec.VolumeMode) || recorded.Mode == string(corev1.PersistentVolumeBlock) {
		p.refuseAbout("claim "+p.Namespace+"/"+claim, "it is a block volume, which cannot be restored yet",
			fmt.Sprintf("restore it by hand from repository snapshot %s with restic", recorded.RepositorySnapshot))
	}
	v.Present, v.displaced = v.now.present()
	v.Size = size(template, recorded, v.now.claim)
	v.Class, v.classless = p.class(template, recorded, claim)
	v.resumed(p.situation.Journal)
	v.manifest = p.manifest(template, &v)
	return v
}

// size is the largest of what the template requests, what was backed up, and what exists now: a volume that has
// grown keeps its size.
func size(template *corev1.PersistentVolumeClaim, recorded *catalog.Volume, present *corev1.PersistentVolumeClaim) int64 {
	bytes := max(template.Spec.Resources.Requests.Storage().Value(), recorded.Size)
	if present != nil {
		bytes = max(bytes, present.Spec.Resources.Requests.Storage().Value())
	}
	return bytes
}

// class is the new claim's StorageClass: the template's, else the class at the time of the backup, else the
// cluster's default. A volume can also be meant to have no class at all: classless.
func (p *Plan) class(template *corev1.PersistentVolumeClaim, recorded *catalog.Volume, claim string) (name string, classless bool) {
	name = recorded.StorageClass
	origin := "the recovery point"
	if given := template.Spec.StorageClassName; given != nil {
		if *given == "" {
			return "", true
		}
		name, origin = *given, "claim template "+template.Name
	}
	if name == "" {
		if name = cluster.DefaultClass(p.situation.Classes); name == "" {
			p.refuseAbout(
				"claim "+p.Namespace+"/"+claim,
				"neither the claim template nor the recovery point names a StorageClass, and the cluster has no default",
				"mark a StorageClass as the default one: kubectl annotate storageclass NAME "+cluster.DefaultClassMark+"=true",
			)
		}
		return name, false
	}
	if p.situation.classes[name] == nil {
		p.refuseAbout("StorageClass "+name, fmt.Sprintf("it is named by %s for claim %s, and does not exist here", origin, claim),
			fmt.Sprintf("create a StorageClass %s, then restore again; \"kubectl get storageclass\" lists those that exist", name))
	}
	return name, false
}

// manifest is the claim as the StatefulSet controller would make it, with the chosen size and class, but empty:
// a template's dataSource would fill it with something else.
func (p *Plan) manifest(template *corev1.PersistentVolumeClaim, v *Volume) corev1.PersistentVolumeClaim {
	annotations := map[string]string{}
	maps.Copy(annotations, template.Annotations)
	annotations[annotationPoint] = p.RecoveryPoint
	spec, class := template.Spec.DeepCopy(), v.Class
	claim := corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: v.Claim, Namespace: p.Namespace,
			Labels:      cluster.ClaimLabels(p.situation.StatefulSet, template.Name),
			Annotations: annotations,
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:               spec.AccessModes,
			Selector:                  spec.Selector,
			Resources:                 spec.Resources,
			StorageClassName:          &class,
			VolumeMode:                spec.VolumeMode,
			VolumeAttributesClassName: spec.VolumeAttributesClassName,
		},
	}
	if claim.Spec.Resources.Requests == nil {
		claim.Spec.Resources.Requests = corev1.ResourceList{}
	}
	request := template.Spec.Resources.Requests[corev1.ResourceStorage]
	if v.Size != request.Value() {
		request = *resource.NewQuantity(v.Size, resource.BinarySI)
	}
	claim.Spec.Resources.Requests[corev1.ResourceStorage] = request
	return claim
}
