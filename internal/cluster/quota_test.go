package cluster

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

// quotaOf is a quota of that name that allows and counts these amounts of one resource.
func quotaOf(name, resourceName, hard, used string, scopes ...corev1.ResourceQuotaScope) corev1.ResourceQuota {
	return corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ResourceQuotaSpec{Scopes: scopes},
		Status: corev1.ResourceQuotaStatus{Hard: amounts(resourceName, hard), Used: amounts(resourceName, used)},
	}
}

// consuming is a pod of one container.
func consuming(requests, limits corev1.ResourceList) corev1.Pod {
	pod := corev1.Pod{}
	pod.Spec.Containers = []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}}
	return pod
}

// TestQuotaAfter: a quota that is full only while the StatefulSet runs does not prevent a restore.
func TestQuotaAfter(t *testing.T) {
	full := func(name, asked string) string {
		return fmt.Sprintf(`pods "x" is forbidden: exceeded quota: %s, requested: %s, used: limits.cpu=2, limited: limits.cpu=2`, name, asked)
	}
	cpu := consuming(amounts("cpu", "500m"), amounts("cpu", "1"))
	ended := cpu.DeepCopy()
	ended.Status.Phase = corev1.PodSucceeded
	deadline := cpu.DeepCopy()
	deadline.Spec.ActiveDeadlineSeconds = new(int64(5))
	mover := consuming(amounts("memory", "128Mi"), amounts("memory", "1Gi"))
	tests := map[string]struct {
		message string
		quotas  []corev1.ResourceQuota
		gone    []corev1.Pod
		want    string // all excesses
	}{
		"room when two are gone": {
			full("q", "limits.cpu=1500m"),
			[]corev1.ResourceQuota{quotaOf("q", "limits.cpu", "2", "2")},
			[]corev1.Pod{cpu, cpu},
			"",
		},
		"just room": {
			full("q", "limits.cpu=1"),
			[]corev1.ResourceQuota{quotaOf("q", "limits.cpu", "2", "2")},
			[]corev1.Pod{cpu},
			"",
		},
		"no room": {
			full("q", "limits.cpu=1100m"),
			[]corev1.ResourceQuota{quotaOf("q", "limits.cpu", "2", "2")},
			[]corev1.Pod{cpu},
			"q: limits.cpu would come to 2100m, and it allows 2",
		},
		"nothing goes": {
			full("q", "limits.cpu=1"),
			[]corev1.ResourceQuota{quotaOf("q", "limits.cpu", "2", "2")},
			nil,
			"q: limits.cpu would come to 3, and it allows 2",
		},
		"what has ended frees none": {
			full("q", "limits.cpu=1"),
			[]corev1.ResourceQuota{quotaOf("q", "limits.cpu", "2", "2")},
			[]corev1.Pod{*ended},
			"q: limits.cpu would come to 3, and it allows 2",
		},
		"out of the quota's scope": {
			full("q", "limits.cpu=1"),
			[]corev1.ResourceQuota{quotaOf("q", "limits.cpu", "2", "2", corev1.ResourceQuotaScopeNotTerminating)},
			[]corev1.Pod{*deadline},
			"q: limits.cpu would come to 3, and it allows 2",
		},
		"in the quota's scope": {
			full("q", "limits.cpu=1"),
			[]corev1.ResourceQuota{quotaOf("q", "limits.cpu", "2", "2", corev1.ResourceQuotaScopeNotTerminating)},
			[]corev1.Pod{cpu},
			"",
		},
		"a number of pods": {full("q", "pods=1"), []corev1.ResourceQuota{quotaOf("q", "pods", "3", "3")}, []corev1.Pod{cpu}, ""},
		"a number of pods, no room": {
			full("q", "pods=1"),
			[]corev1.ResourceQuota{quotaOf("q", "pods", "3", "5")},
			[]corev1.Pod{cpu},
			"q: pods would come to 5, and it allows 3",
		},
		"requests under a short name": {full("q", "cpu=500m"), []corev1.ResourceQuota{quotaOf("q", "cpu", "1", "1")}, []corev1.Pod{cpu}, ""},
		"a quota that is not known": {
			full("other", "limits.cpu=1"),
			[]corev1.ResourceQuota{quotaOf("q", "limits.cpu", "9", "2")},
			[]corev1.Pod{cpu},
			"other: it is exceeded",
		},
		"words that are not known": {
			"exceeded quota: q, wants: everything",
			[]corev1.ResourceQuota{quotaOf("q", "limits.cpu", "9", "2")},
			[]corev1.Pod{cpu},
			"q, wants: everything: it is exceeded",
		},
		"another quota, which the API server has not come to": {
			full("q", "limits.cpu=1"),
			[]corev1.ResourceQuota{
				quotaOf("q", "limits.cpu", "2", "2"),
				quotaOf("memory", "limits.memory", "2Gi", "1536Mi"),
				quotaOf("best", "limits.memory", "1", "1", corev1.ResourceQuotaScopeBestEffort),
			},
			[]corev1.Pod{cpu},
			"memory: limits.memory would come to 2560Mi, and it allows 2Gi",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			denial := Denial{Candidate: Candidate{Object: &mover}, Kind: DeniedByQuota, Message: tt.message}
			for _, e := range QuotaAfter(denial, tt.quotas, tt.gone) {
				got = append(got, e.Quota+": "+e.String())
			}
			if text := strings.Join(got, "; "); text != tt.want {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
}

// TestPodUsage counts like the API server: what runs at once, and limits if no request is given.
func TestPodUsage(t *testing.T) {
	pod := consuming(amounts("cpu", "1"), amounts("cpu", "2", "memory", "1Gi"))
	pod.Spec.Containers = append(pod.Spec.Containers, *pod.Spec.Containers[0].DeepCopy())
	always := corev1.ContainerRestartPolicyAlways
	pod.Spec.InitContainers = []corev1.Container{
		{Resources: corev1.ResourceRequirements{Requests: amounts("cpu", "500m")}, RestartPolicy: &always},
		{Resources: corev1.ResourceRequirements{Requests: amounts("cpu", "4", "memory", "1Mi")}},
	}
	pod.Spec.Overhead = amounts("cpu", "100m")
	usage := podUsage(&pod)
	for name, want := range amounts("cpu", "4600m", "requests.cpu", "4600m", "limits.cpu", "4100m", "memory", "2Gi", "limits.memory", "2Gi",
		"pods", "1", "count/pods", "1") {
		if got := usage[name]; got.Cmp(want) != 0 {
			t.Errorf("%s: %s, want %s", name, got.String(), want.String())
		}
	}
}

// TestQuotaScopes: which pods a quota counts.
func TestQuotaScopes(t *testing.T) {
	scope := func(operator corev1.ScopeSelectorOperator, values ...string) corev1.ResourceQuota {
		return corev1.ResourceQuota{
			Spec: corev1.ResourceQuotaSpec{ScopeSelector: &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{
				{ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: operator, Values: values},
			}}},
		}
	}
	pod := consuming(amounts("cpu", "1"), nil)
	pod.Spec.PriorityClassName = "high"
	tests := map[string]struct {
		quota corev1.ResourceQuota
		want  bool
	}{
		"no scope": {corev1.ResourceQuota{}, true},
		"In":       {scope(corev1.ScopeSelectorOpIn, "low", "high"), true}, "In others": {scope(corev1.ScopeSelectorOpIn, "low"), false},
		"NotIn": {scope(corev1.ScopeSelectorOpNotIn, "high"), false}, "Exists": {scope(corev1.ScopeSelectorOpExists), true},
		"DoesNotExist":    {scope(corev1.ScopeSelectorOpDoesNotExist), false},
		"best effort":     {quotaOf("q", "pods", "1", "1", corev1.ResourceQuotaScopeBestEffort), false},
		"not best effort": {quotaOf("q", "pods", "1", "1", corev1.ResourceQuotaScopeNotBestEffort), true},
		"terminating":     {quotaOf("q", "pods", "1", "1", corev1.ResourceQuotaScopeTerminating), false},
		"of the future":   {quotaOf("q", "pods", "1", "1", "OnTuesdays"), false},
	}
	for name, tt := range tests {
		if got := counts(&tt.quota, &pod); got != tt.want {
			t.Errorf("%s: counted %t, want %t", name, got, tt.want)
		}
	}
}
