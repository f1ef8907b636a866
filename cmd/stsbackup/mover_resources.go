package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// moverResourceNames are the resources that a mover can ask for.
func moverResourceNames() []string { return []string{"cpu", "memory", "ephemeral-storage"} }

// defaultMoverRequests is what a mover takes as a rule: less than 96 MiB, and the processor when it can have it.
func defaultMoverRequests() resourceAmounts {
	return resourceAmounts{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")}
}

// defaultMoverLimits leaves room for the index of a repository of some ten terabytes, which grows with what is stored.
// There is none for the processor: a mover that is slowed down holds its volume, and its VolumeSnapshot, for longer.
func defaultMoverLimits() resourceAmounts {
	return resourceAmounts{"memory": resource.MustParse("1Gi")}
}

// resourceAmounts are amounts by the names of resources. 0 is none, in place of a default. It is a flag's value.
type resourceAmounts map[string]resource.Quantity

// String, Set and Type make resourceAmounts a pflag.Value.
func (r *resourceAmounts) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(*r)) {
		amount := (*r)[name]
		parts = append(parts, name+"="+amount.String())
	}
	return strings.Join(parts, ",")
}

// Set adds what text names.
func (r *resourceAmounts) Set(text string) error {
	amounts := maps.Clone(*r)
	if amounts == nil {
		amounts = resourceAmounts{}
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		if !slices.Contains(moverResourceNames(), name) {
			return fmt.Errorf("%.60q names none of %s; write for example "+
				"cpu=500m,memory=1Gi", part, strings.Join(moverResourceNames(), ", "))
		}
		amount, err := resource.ParseQuantity(value)
		if err != nil || amount.Sign() < 0 {
			return fmt.Errorf("%.60q is not an amount of %s; write for example cpu=500m,memory=1Gi", value, name)
		}
		amounts[name] = amount
	}
	*r = amounts
	return nil
}

// Type names what the flag takes.
func (r *resourceAmounts) Type() string { return "amounts" }

// with is r, where others say nothing else.
func (r resourceAmounts) with(others map[string]resource.Quantity) resourceAmounts {
	all := resourceAmounts{}
	maps.Copy(all, r)
	maps.Copy(all, others)
	return all
}

// moverResources are what a mover's container asks for: what was given, and the defaults. A default gives way to what
// was given: a request is never above the limit.
func moverResources(requests, limits resourceAmounts) (corev1.ResourceRequirements, error) {
	resources := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	for _, name := range moverResourceNames() {
		request, asked := requests[name]
		limit, limited := limits[name]
		if !asked {
			request = defaultMoverRequests()[name]
		}
		if !limited {
			limit = defaultMoverLimits()[name]
		}
		if !limit.IsZero() && request.Cmp(limit) > 0 {
			switch {
			case asked && limited:
				return corev1.ResourceRequirements{}, usageErrorf(
					"movers request %s of %s, which is more than their limit of %s",
					request.String(),
					name,
					limit.String(),
				)
			case limited:
				request = limit
			default:
				limit = request
			}
		}
		if !request.IsZero() {
			resources.Requests[corev1.ResourceName(name)] = request
		}
		if !limit.IsZero() {
			resources.Limits[corev1.ResourceName(name)] = limit
		}
	}
	return resources, nil
}
