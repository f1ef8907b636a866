package capture

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// placeLive says where the mover of a live capture runs: on the node of the pod that has the volume, if only
// one node can have the volume at a time. pod is nil if none runs.
func placeLive(v *Volume, pod *corev1.Pod, facts *Facts) cluster.Placement {
	place := placementOf(facts)
	if pod == nil { // the scheduler finds a node that can reach the volume
		place.Tolerations = tolerateNode(place.Tolerations, facts, onlyNode(v.Volume, facts))
		return place
	}
	place.Tolerations = pod.Spec.Tolerations
	if pod.Spec.SecurityContext != nil {
		place.SELinux = pod.Spec.SecurityContext.SELinuxOptions
	}
	if !sharedBetweenNodes(v.Claim) {
		place.Node = pod.Spec.NodeName
		place.Tolerations = tolerateNode(place.Tolerations, facts, pod.Spec.NodeName)
	}
	return place
}

// placementOf is where a mover may run according to the pod template.
func placementOf(facts *Facts) cluster.Placement {
	template := facts.StatefulSet.Spec.Template.Spec
	place := cluster.Placement{Tolerations: template.Tolerations}
	if template.SecurityContext != nil {
		place.SELinux = template.SecurityContext.SELinuxOptions
	}
	return place
}

func sharedBetweenNodes(claim *corev1.PersistentVolumeClaim) bool {
	return slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteMany) || slices.Contains(claim.Spec.AccessModes, corev1.ReadOnlyMany)
}

// placeSnapshot says where the mover of a VolumeSnapshot runs: where the volume itself could be, because
// storage that is local to a node or zone keeps its VolumeSnapshots there.
func placeSnapshot(v *Volume, facts *Facts) cluster.Placement {
	place := placementOf(facts)
	if affinity := v.Volume.Spec.NodeAffinity; affinity != nil && affinity.Required != nil {
		place.Affinity = &corev1.Affinity{
			NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: affinity.Required},
		}
	}
	place.Tolerations = tolerateNode(place.Tolerations, facts, onlyNode(v.Volume, facts))
	return place
}

// onlyNode is the node to which a volume is tied, as far as we can see: a requirement of the volume names that
// node. It is "" if other nodes can have the volume.
func onlyNode(pv *corev1.PersistentVolume, facts *Facts) string {
	if pv.Spec.NodeAffinity == nil || pv.Spec.NodeAffinity.Required == nil || len(pv.Spec.NodeAffinity.Required.NodeSelectorTerms) != 1 {
		return ""
	}
	// Each kind of storage has its own label for this, whose value is the node's name or host.
	term := pv.Spec.NodeAffinity.Required.NodeSelectorTerms[0]
	for _, requirement := range slices.Concat(term.MatchExpressions, term.MatchFields) {
		if requirement.Operator != corev1.NodeSelectorOpIn || len(requirement.Values) != 1 {
			continue
		}
		value := requirement.Values[0]
		for name, node := range facts.Nodes {
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

// tolerateNode is what a volume's mover tolerates if only this node can have the volume. Beside what the pods tolerate,
// these are taints that keep new pods away but leave running ones alone: the StatefulSet's own pod may have started before
// its node was cordoned or tainted.
func tolerateNode(own []corev1.Toleration, facts *Facts, node string) []corev1.Toleration {
	tolerations := slices.Clone(own)
	if node == "" {
		return tolerations
	}
	add := func(key string) {
		tolerations = append(tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule})
	}
	add(corev1.TaintNodeUnschedulable)
	for _, taint := range facts.Nodes[node].Taints {
		// Kubernetes itself taints a node that is not healthy: nothing would start there.
		unwell := strings.HasPrefix(taint.Key, "node.kubernetes.io/") || strings.HasPrefix(taint.Key, "node.cloudprovider.kubernetes.io/")
		if taint.Effect == corev1.TaintEffectNoSchedule && !unwell {
			add(taint.Key)
		}
	}
	return tolerations
}
