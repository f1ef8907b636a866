package backup

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// leftOutVolumes names the volumes of the pods that are not the StatefulSet's own claims. It leaves out what Kubernetes
// makes from the manifests (ConfigMaps, Secrets, the downward API, images), because that holds no data of the application.
func leftOutVolumes(sts *appsv1.StatefulSet) []catalog.LeftOut {
	var out []catalog.LeftOut
	for _, volume := range sts.Spec.Template.Spec.Volumes {
		if slices.ContainsFunc(sts.Spec.VolumeClaimTemplates, func(t corev1.PersistentVolumeClaim) bool { return t.Name == volume.Name }) {
			continue // the claim replaces it
		}
		if kind, why := volumeKind(volume.VolumeSource); kind != "" {
			out = append(out, catalog.LeftOut{What: fmt.Sprintf("volume %s of the pods (%s)", volume.Name, kind), Why: why})
		}
	}
	return out
}

// volumeKind says what a pod's volume is and why it is not backed up; an empty kind need not be mentioned.
func volumeKind(source corev1.VolumeSource) (kind, why string) {
	const notAClaim = "it is not a claim of the StatefulSet"
	switch {
	case source.ConfigMap != nil, source.Secret != nil, source.Projected != nil, source.DownwardAPI != nil, source.Image != nil:
		return "", ""
	case source.EmptyDir != nil:
		return "emptyDir", "it dies with its pod"
	case source.Ephemeral != nil:
		return "ephemeral claim", "it dies with its pod"
	case source.HostPath != nil:
		return "hostPath " + source.HostPath.Path, "it belongs to the node"
	case source.PersistentVolumeClaim != nil:
		return "claim " + source.PersistentVolumeClaim.ClaimName, "all pods share it: it belongs to no ordinal"
	case source.NFS != nil:
		return "NFS " + source.NFS.Server + ":" + source.NFS.Path, notAClaim
	case source.CSI != nil:
		return "inline CSI " + source.CSI.Driver, notAClaim
	default:
		return "inline volume", notAClaim
	}
}

// leftOutClaims names the claims that ordinals of this StatefulSet would have if it had more replicas.
func leftOutClaims(inventory *Inventory) []catalog.LeftOut {
	sts := inventory.StatefulSet
	wanted := cluster.Ordinals(sts)
	type orphan struct {
		ordinal int32
		name    string
	}
	var orphans []orphan
	for name := range inventory.Claims {
		for _, template := range sts.Spec.VolumeClaimTemplates {
			if ordinal, ok := cluster.ClaimOrdinal(name, template.Name, sts.Name); ok && !slices.Contains(wanted, ordinal) {
				orphans = append(orphans, orphan{ordinal, name})
			}
		}
	}
	slices.SortFunc(orphans, func(a, b orphan) int {
		return cmp.Or(cmp.Compare(a.ordinal, b.ordinal), cmp.Compare(a.name, b.name))
	})
	var out []catalog.LeftOut
	for _, o := range orphans {
		out = append(out, catalog.LeftOut{
			What: "claim " + o.name,
			Why:  fmt.Sprintf("the StatefulSet has no ordinal %d (replicas: %d)", o.ordinal, len(wanted)),
		})
	}
	return out
}
