package capture

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// placeLive says where the mover of a live capture runs: with the pod that has the volume, if only one node can have
// it at a time. pod is nil if none runs.
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

// placementOf is what the pod template says of where a mover may run.
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

// placeSnapshot says where the mover of a VolumeSnapshot runs: where the volume itself could be, since storage that is
// local to a node or zone has its VolumeSnapshots there.
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

// onlyNode is the node that a volume is tied to, as far as that can be seen: a requirement of it names that node. "" if it may be
// on others.
func onlyNode(pv *corev1.PersistentVolume, facts *Facts) string {
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

// tolerateNode is what a volume's mover tolerates, beside what the pods do, if only this node will do: also what keeps new pods from
// it, as long as that lets those run that are there. The StatefulSet's own pod may have come before its node was cordoned or tainted.
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
		// Of a node that is not well, Kubernetes says so itself: nothing would start there.
		unwell := strings.HasPrefix(taint.Key, "node.kubernetes.io/") || strings.HasPrefix(taint.Key, "node.cloudprovider.kubernetes.io/")
		if taint.Effect == corev1.TaintEffectNoSchedule && !unwell {
			add(taint.Key)
		}
	}
	return tolerations
}
