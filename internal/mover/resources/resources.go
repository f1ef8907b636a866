package resources

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Names are the resources that a mover can ask for.
func Names() []string { return []string{"cpu", "memory", "ephemeral-storage"} }

// DefaultRequests is what a mover usually uses: less than 96 MiB, and the processor when it is free.
func DefaultRequests() Amounts {
	return Amounts{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")}
}

// DefaultLimits leaves room for the index of a repository of some ten terabytes; the index grows with what is stored.
// There is no limit for the processor: a mover that is slowed down holds its volume, and its VolumeSnapshot, for longer.
func DefaultLimits() Amounts {
	return Amounts{"memory": resource.MustParse("1Gi")}
}

// Amounts are amounts by resource name. 0 means none, instead of the default. A pointer to Amounts is a flag's value.
type Amounts map[string]resource.Quantity

// String writes amounts in the form that Set reads, sorted by name.
func (a *Amounts) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(*a)) {
		amount := (*a)[name]
		parts = append(parts, name+"="+amount.String())
	}
	return strings.Join(parts, ",")
}

// Set adds the amounts in a text such as cpu=500m,memory=1Gi. If it returns an error, it has added nothing.
func (a *Amounts) Set(text string) error {
	amounts := a.With(nil)
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("%.60q names none of %s; write for example cpu=500m,memory=1Gi", part, strings.Join(Names(), ", "))
		}
		amount, ok := Parse(value)
		if !ok {
			return fmt.Errorf("%.60q is not an amount of %s; write for example cpu=500m,memory=1Gi", value, name)
		}
		amounts[name] = amount
	}
	*a = amounts
	return nil
}

// Type names what the flag takes.
func (a *Amounts) Type() string { return "amounts" }

// With returns a copy of a with others added. If both name a resource, the amount in others counts.
func (a Amounts) With(others Amounts) Amounts {
	all := Amounts{}
	maps.Copy(all, a)
	maps.Copy(all, others)
	return all
}

// Parse reads one amount, such as 500m or 1Gi; ok is false if the text is not an amount, or is negative.
func Parse(text string) (amount resource.Quantity, ok bool) {
	amount, err := resource.ParseQuantity(text)
	return amount, err == nil && amount.Sign() >= 0
}

// Exceeds reports whether a request is above a limit. A limit of 0 means no limit.
func Exceeds(request, limit resource.Quantity) bool { return !limit.IsZero() && request.Cmp(limit) > 0 }

// Requirements are what a mover's container requests: what a person set, and the defaults. A default gives way
// to what a person set: a request is never above the limit.
func Requirements(requests, limits Amounts) (corev1.ResourceRequirements, error) {
	required := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	for _, name := range Names() {
		request, asked := requests[name]
		limit, limited := limits[name]
		if !asked {
			request = DefaultRequests()[name]
		}
		if !limited {
			limit = DefaultLimits()[name]
		}
		if Exceeds(request, limit) {
			switch {
			case asked && limited:
				return corev1.ResourceRequirements{}, fmt.Errorf("movers request %s of %s, which is more than their limit of %s",
					request.String(), name, limit.String())
			case limited:
				request = limit
			default:
				limit = request
			}
		}
		if !request.IsZero() {
			required.Requests[corev1.ResourceName(name)] = request
		}
		if !limit.IsZero() {
			required.Limits[corev1.ResourceName(name)] = limit
		}
	}
	return required, nil
}
