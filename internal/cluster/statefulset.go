package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/nearest"
)

// StatefulSet reads one StatefulSet. If it does not exist, the error wraps ErrNotFound and names those that the
// user may have meant.
func (c *Client) StatefulSet(ctx context.Context, namespace, name string) (*appsv1.StatefulSet, error) {
	sts, err := c.Kube.AppsV1().StatefulSets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		return sts, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read StatefulSet %s/%s: %w", namespace, name, err)
	}
	if err := c.namespaceThere(ctx, namespace); err != nil {
		return nil, fmt.Errorf("StatefulSet %s/%s: %w", namespace, name, err)
	}
	// A user who may read only one namespace still gets suggestions from there.
	all, err := c.Kube.AppsV1().StatefulSets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		if all, err = c.Kube.AppsV1().StatefulSets(namespace).List(ctx, metav1.ListOptions{}); err != nil {
			return nil, fmt.Errorf("StatefulSet %s/%s: %w", namespace, name, ErrNotFound)
		}
	}
	names := make([]string, 0, len(all.Items))
	for _, item := range all.Items {
		names = append(names, item.Namespace+"/"+item.Name)
	}
	return nil, fmt.Errorf("StatefulSet %s/%s: %w; %s", namespace, name, ErrNotFound, suggest(namespace, name, names))
}

// suggest says what the user may have meant by a StatefulSet that is not among names ("namespace/name"): one of its namespace
// with a similar name, or one with the same name in another namespace. It names no other StatefulSets of other people.
func suggest(namespace, name string, names []string) string {
	slices.Sort(names)
	var near, elsewhere, here []string
	for _, candidate := range names {
		ns, sts, _ := strings.Cut(candidate, "/")
		switch {
		case ns != namespace && sts == name:
			elsewhere = append(elsewhere, candidate)
		case ns != namespace: // somebody else's
		default:
			here = append(here, sts)
			if strings.Contains(sts, name) || strings.Contains(name, sts) || nearest.Distance(sts, name) <= 2 {
				near = append(near, candidate)
			}
		}
	}
	near = append(near, elsewhere...)
	const most = 8
	switch {
	case len(near) > 0:
		return "did you mean " + strings.Join(near[:min(most, len(near))], " or ") + "?"
	case len(here) > 0:
		return fmt.Sprintf("namespace %s has %s", namespace, strings.Join(here[:min(most, len(here))], ", "))
	default:
		return fmt.Sprintf("namespace %s has no StatefulSet; name another with -n or NS/STS", namespace)
	}
}

// Replicas is how many ordinals the StatefulSet wants; the API's default is 1.
func Replicas(sts *appsv1.StatefulSet) int32 {
	if sts.Spec.Replicas == nil {
		return 1
	}
	return *sts.Spec.Replicas
}

// OrdinalsStart is the first ordinal.
func OrdinalsStart(sts *appsv1.StatefulSet) int32 {
	if sts.Spec.Ordinals == nil {
		return 0
	}
	return sts.Spec.Ordinals.Start
}

// Ordinals are the ordinals that the StatefulSet wants, in ascending order.
func Ordinals(sts *appsv1.StatefulSet) []int32 {
	start := OrdinalsStart(sts)
	ordinals := make([]int32, 0, Replicas(sts))
	for i := range Replicas(sts) {
		ordinals = append(ordinals, start+i)
	}
	return ordinals
}

// PodName is the name of an ordinal's pod.
func PodName(statefulSet string, ordinal int32) string {
	return statefulSet + "-" + strconv.Itoa(int(ordinal))
}

// podOrdinal is the ordinal in the name of a pod of the StatefulSet; -1 if there is none.
func podOrdinal(pod, statefulSet string) int {
	digits, found := strings.CutPrefix(pod, statefulSet+"-")
	ordinal, err := strconv.Atoi(digits)
	if !found || err != nil {
		return -1
	}
	return ordinal
}

// ClaimName is the name of an ordinal's claim.
func ClaimName(template, statefulSet string, ordinal int32) string {
	return template + "-" + statefulSet + "-" + strconv.Itoa(int(ordinal))
}

// ClaimOrdinal is the ordinal in the name of a claim of template and statefulSet; false if the claim is not one of theirs.
func ClaimOrdinal(claim, template, statefulSet string) (int32, bool) {
	digits, found := strings.CutPrefix(claim, template+"-"+statefulSet+"-")
	if !found {
		return 0, false
	}
	ordinal, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || ordinal < 0 || strconv.FormatInt(ordinal, 10) != digits {
		return 0, false
	}
	return int32(ordinal), true
}

// ClaimLabels are the labels that the StatefulSet controller gives to the claims of a template: the template's
// own, overlaid by the StatefulSet's selector.
func ClaimLabels(sts *appsv1.StatefulSet, template string) map[string]string {
	labels := map[string]string{}
	for _, claim := range sts.Spec.VolumeClaimTemplates {
		if claim.Name == template {
			maps.Copy(labels, claim.Labels)
		}
	}
	if sts.Spec.Selector != nil {
		maps.Copy(labels, sts.Spec.Selector.MatchLabels)
	}
	return labels
}
