package backup

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// placeLive says where the mover of a live capture runs: with the pod that has the volume, if only one node can have
// it at a time.
func placeLive(volume *Volume, inventory *Inventory, pv *corev1.PersistentVolume, options PlanOptions) error {
	template := inventory.StatefulSet.Spec.Template.Spec
	pod := inventory.Pods[cluster.PodName(inventory.StatefulSet.Name, volume.Ordinal)]
	running := pod != nil && pod.Spec.NodeName != "" && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
	if running && cluster.IsReadWriteOncePod(volume.object) {
		return &cluster.Refusal{
			Object: "claim " + volume.object.Namespace + "/" + volume.Claim,
			Reason: fmt.Sprintf("its access mode is ReadWriteOncePod and pod %s has it, so no mover can read it while the pod runs", pod.Name),
			Next:   liveNext(volume, options),
		}
	}
	volume.placement = cluster.Placement{Tolerations: template.Tolerations}
	if template.SecurityContext != nil {
		volume.placement.SELinux = template.SecurityContext.SELinuxOptions
	}
	if !running { // the scheduler finds a node that can reach the volume
		volume.placement.Tolerations = tolerateNode(volume, inventory, onlyNode(pv, inventory))
		return nil
	}
	volume.placement.Tolerations = pod.Spec.Tolerations
	if pod.Spec.SecurityContext != nil {
		volume.placement.SELinux = pod.Spec.SecurityContext.SELinuxOptions
	}
	if !sharedBetweenNodes(volume.object) {
		volume.placement.Node = pod.Spec.NodeName
		volume.placement.Tolerations = tolerateNode(volume, inventory, pod.Spec.NodeName)
	}
	return nil
}

// liveNext says what to do about a volume that cannot be read while its pod runs.
func liveNext(volume *Volume, options PlanOptions) string {
	if options.Method == MethodLive {
		return "use --method snapshot"
	}
	return "mend what keeps it from being captured by a VolumeSnapshot: " + volume.Why
}

func sharedBetweenNodes(claim *corev1.PersistentVolumeClaim) bool {
	return slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteMany) || slices.Contains(claim.Spec.AccessModes, corev1.ReadOnlyMany)
}

// placeSnapshot says where the mover of a VolumeSnapshot runs: where the volume itself could be, since storage that is
// local to a node or zone has its VolumeSnapshots there.
func placeSnapshot(volume *Volume, inventory *Inventory, pv *corev1.PersistentVolume) {
	template := inventory.StatefulSet.Spec.Template.Spec
	volume.placement = cluster.Placement{Tolerations: template.Tolerations}
	if template.SecurityContext != nil {
		volume.placement.SELinux = template.SecurityContext.SELinuxOptions
	}
	if pv.Spec.NodeAffinity != nil && pv.Spec.NodeAffinity.Required != nil {
		volume.placement.Affinity = &corev1.Affinity{
			NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: pv.Spec.NodeAffinity.Required},
		}
	}
	volume.placement.Tolerations = tolerateNode(volume, inventory, onlyNode(pv, inventory))
}

// onlyNode is the node that a volume is tied to, as far as that can be seen: a requirement of it names that node. "" if it may be
// on others.
func onlyNode(pv *corev1.PersistentVolume, inventory *Inventory) string {
	if pv.Spec.NodeAffinity == nil || pv.Spec.NodeAffinity.Required == nil || len(pv.Spec.NodeAffinity.Required.NodeSelectorTerms) != 1 {
		return ""
	}
	// Each kind of storage has a label of its own for it, with the node's name or the host's as its value.
	term := pv.Spec.NodeAffinity.Required.NodeSelectorTerms[0]
	for _, requirement := range slices.Concat(term.MatchExpressions, term.MatchFields) {
		if requirement.Operator != corev1.NodeSelectorOpIn || len(requirement.Values) != 1 {
			continue
		}
		value := requirement.Values[0]
		for name, node := range inventory.Nodes {
			if value == name || value == node.Host {
				return name
			}
		}
		if requirement.Key == corev1.LabelHostname {
			return value
		}
	}
	return ""
}

// tolerateNode is what a volume's mover tolerates if only this node will do: also what keeps new pods from it, as long as that
// lets those run that are there. The StatefulSet's own pod may have come before its node was cordoned or tainted.
func tolerateNode(volume *Volume, inventory *Inventory, node string) []corev1.Toleration {
	tolerations := slices.Clone(volume.placement.Tolerations)
	if node == "" {
		return tolerations
	}
	add := func(key string) {
		tolerations = append(tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule})
	}
	add(corev1.TaintNodeUnschedulable)
	for _, taint := range inventory.Nodes[node].Taints {
		// Of a node that is not well, Kubernetes says so itself: nothing would start there.
		unwell := strings.HasPrefix(taint.Key, "node.kubernetes.io/") || strings.HasPrefix(taint.Key, "node.cloudprovider.kubernetes.io/")
		if taint.Effect == corev1.TaintEffectNoSchedule && !unwell {
			add(taint.Key)
		}
	}
	return tolerations
}
