package cluster

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// QuotaExcess says why a ResourceQuota does not admit a pod.
type QuotaExcess struct {
	// Quota is the quota's name, Resource what it counts.
	Quota    string
	Resource corev1.ResourceName
	// Would is how much of the resource would be used, Hard how much may be.
	Would, Hard resource.Quantity
}

// QuotaAfter looks at a pod for which a quota had no room, and says which quotas it would still exceed once other pods
// of the namespace are gone. quotas are those of the namespace. Pods that are gone free the amounts for which they were
// counted. QuotaAfter errs on the side of excess: a quota about which it knows nothing counts as still exceeded.
func QuotaAfter(denial Denial, quotas []corev1.ResourceQuota, gone []corev1.Pod) []QuotaExcess {
	pod, isPod := denial.Object.(*corev1.Pod)
	name, requested := exceededQuota(denial.Message)
	i := slices.IndexFunc(quotas, func(quota corev1.ResourceQuota) bool { return quota.Name == name })
	if !isPod || i < 0 || len(requested) == 0 {
		return []QuotaExcess{{Quota: name}}
	}
	excess := excessOf(&quotas[i], requested, gone)
	for k := range quotas {
		// The API server names only one quota. For the others, we do not know what defaults would add to the pod.
		if k != i && counts(&quotas[k], pod) {
			excess = append(excess, excessOf(&quotas[k], podUsage(pod), gone)...)
		}
	}
	return excess
}

// QuotaFor says which quotas n pods like this one would exceed, once other pods of the namespace are gone. It
// does not know what defaults would add to the pods.
func QuotaFor(n int, pod *corev1.Pod, quotas []corev1.ResourceQuota, gone []corev1.Pod) []QuotaExcess {
	all := corev1.ResourceList{}
	for range n {
		addAmounts(all, podUsage(pod))
	}
	var excess []QuotaExcess
	for i := range quotas {
		if counts(&quotas[i], pod) {
			excess = append(excess, excessOf(&quotas[i], all, gone)...)
		}
	}
	return excess
}

// exceededQuota reads "exceeded quota: NAME, requested: RESOURCE=AMOUNT,…, used: …".
func exceededQuota(message string) (name string, requested corev1.ResourceList) {
	_, text, _ := strings.Cut(message, "exceeded quota: ")
	name, text, _ = strings.Cut(text, ", requested: ")
	text, _, _ = strings.Cut(text, ", used: ")
	return name, quotaAmounts(text)
}

// excessOf compares what a quota allows with what would be used.
func excessOf(quota *corev1.ResourceQuota, requested corev1.ResourceList, gone []corev1.Pod) []QuotaExcess {
	var excess []QuotaExcess
	for resourceName, hard := range quota.Status.Hard {
		amount, asked := requested[resourceName]
		if !asked {
			continue
		}
		would := quota.Status.Used[resourceName]
		would.Add(amount)
		for i := range gone {
			if counts(quota, &gone[i]) {
				would.Sub(podUsage(&gone[i])[resourceName])
			}
		}
		if would.Cmp(hard) > 0 {
			excess = append(excess, QuotaExcess{quota.Name, resourceName, would, hard})
		}
	}
	slices.SortFunc(excess, func(a, b QuotaExcess) int { return strings.Compare(string(a.Resource), string(b.Resource)) })
	return excess
}

// String says in words which quota would be exceeded, and by what.
func (e QuotaExcess) String() string {
	if e.Resource == "" {
		return "it is exceeded"
	}
	return fmt.Sprintf("%s would come to %s, and it allows %s", e.Resource, e.Would.String(), e.Hard.String())
}

// podUsage is the amount that quotas count for a pod, under every name that they have for it.
func podUsage(pod *corev1.Pod) corev1.ResourceList {
	one := *resource.NewQuantity(1, resource.DecimalSI)
	usage := corev1.ResourceList{"count/pods": one}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return usage
	}
	usage[corev1.ResourcePods] = one
	requests := podAmounts(pod, func(r corev1.ResourceRequirements) corev1.ResourceList {
		all := r.Limits.DeepCopy() // a request that is not given equals the limit
		if all == nil {
			all = corev1.ResourceList{}
		}
		for name, amount := range r.Requests {
			all[name] = amount
		}
		return all
	})
	for name, amount := range requests {
		usage["requests."+name] = amount
		if name == corev1.ResourceCPU || name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage {
			usage[name] = amount
		}
	}
	for name, amount := range podAmounts(pod, func(r corev1.ResourceRequirements) corev1.ResourceList { return r.Limits }) {
		usage["limits."+name] = amount
	}
	return usage
}

// podAmounts adds up what containers run at once. Init containers run in sequence before the others, except for
// sidecars, which keep running.
func podAmounts(pod *corev1.Pod, of func(corev1.ResourceRequirements) corev1.ResourceList) corev1.ResourceList {
	total, sidecars, first := corev1.ResourceList{}, corev1.ResourceList{}, corev1.ResourceList{}
	for i := range pod.Spec.InitContainers {
		container := &pod.Spec.InitContainers[i]
		amounts := of(container.Resources)
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			addAmounts(sidecars, amounts)
			amounts = nil
		}
		alone := sidecars.DeepCopy()
		addAmounts(alone, amounts)
		for name, amount := range alone {
			if most := first[name]; amount.Cmp(most) > 0 {
				first[name] = amount
			}
		}
	}
	addAmounts(total, sidecars)
	for i := range pod.Spec.Containers {
		addAmounts(total, of(pod.Spec.Containers[i].Resources))
	}
	for name, amount := range first {
		if most := total[name]; amount.Cmp(most) > 0 {
			total[name] = amount
		}
	}
	addAmounts(total, pod.Spec.Overhead)
	return total
}

func addAmounts(to, amounts corev1.ResourceList) {
	for name, amount := range amounts {
		sum := to[name].DeepCopy()
		sum.Add(amount)
		to[name] = sum
	}
}

// counts reports whether a quota counts a pod. A quota with a scope that is unknown here counts none.
func counts(quota *corev1.ResourceQuota, pod *corev1.Pod) bool {
	var expressions []corev1.ScopedResourceSelectorRequirement
	for _, scope := range quota.Spec.Scopes {
		expressions = append(expressions, corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: corev1.ScopeSelectorOpExists})
	}
	if quota.Spec.ScopeSelector != nil {
		expressions = append(expressions, quota.Spec.ScopeSelector.MatchExpressions...)
	}
	return !slices.ContainsFunc(expressions, func(e corev1.ScopedResourceSelectorRequirement) bool { return !inScope(e, pod) })
}

func inScope(e corev1.ScopedResourceSelectorRequirement, pod *corev1.Pod) bool {
	resources := podAmounts(pod, func(r corev1.ResourceRequirements) corev1.ResourceList {
		both := corev1.ResourceList{}
		addAmounts(both, r.Requests)
		addAmounts(both, r.Limits)
		return both
	})
	switch e.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return pod.Spec.ActiveDeadlineSeconds != nil
	case corev1.ResourceQuotaScopeNotTerminating:
		return pod.Spec.ActiveDeadlineSeconds == nil
	case corev1.ResourceQuotaScopeBestEffort:
		return len(resources) == 0
	case corev1.ResourceQuotaScopeNotBestEffort:
		return len(resources) > 0
	case corev1.ResourceQuotaScopePriorityClass:
		class := pod.Spec.PriorityClassName
		switch e.Operator {
		case corev1.ScopeSelectorOpExists:
			return class != ""
		case corev1.ScopeSelectorOpDoesNotExist:
			return class == ""
		case corev1.ScopeSelectorOpIn:
			return slices.Contains(e.Values, class)
		case corev1.ScopeSelectorOpNotIn:
			return !slices.Contains(e.Values, class)
		}
	}
	return false
}
