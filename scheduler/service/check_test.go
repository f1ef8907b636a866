package service

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/storage/location"
)

const testPolicies = `apiVersion: stsbackup.io/v1
kind: Policies
repository: s3://backups/prod
policies:
- name: gold
  select: {namespaceLabels: {tier: gold}}
  schedule: "30 2 * * *"
  timeZone: Europe/Berlin
- name: rest
  select: {namespaces: ["*"], exclude: [scratch]}
  schedule: "@hourly"
- name: idle
  select: {names: [nobody]}
  schedule: "@hourly"
- name: paused
  select: {names: [nobody]}
  schedule: "@hourly"
  suspend: true
`

// nothing is backup.Nothing, reduced to what these StatefulSets need.
func nothing(set *appsv1.StatefulSet) string {
	if len(set.Spec.VolumeClaimTemplates) == 0 {
		return "it has no volumeClaimTemplates"
	}
	return ""
}

// withVolumes is a StatefulSet that can be backed up.
func withVolumes(namespace, name string) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       appsv1.StatefulSetSpec{VolumeClaimTemplates: make([]corev1.PersistentVolumeClaim, 1)},
	}
}

// annotated gives a StatefulSet the policy that its owner wants.
func annotated(set *appsv1.StatefulSet, name string) *appsv1.StatefulSet {
	set.Annotations = map[string]string{policy.Annotation: name}
	return set
}

// sets is a cluster. Its namespaces can be read if labels is not nil.
type sets struct {
	found  []*appsv1.StatefulSet
	labels map[string]map[string]string
	asked  string
}

var errForbidden = errors.New("forbidden")

func (s *sets) StatefulSets(_ context.Context, namespace string) ([]*appsv1.StatefulSet, error) {
	s.asked = namespace
	return s.found, nil
}

func (s *sets) NamespaceLabels(context.Context) (map[string]map[string]string, error) {
	if s.labels == nil {
		return nil, errForbidden
	}
	return s.labels, nil
}

// TestCheck finds each StatefulSet's policy and next runs, and says why if there are none.
func TestCheck(t *testing.T) {
	t.Parallel()
	file, err := policy.Parse("policies.yaml", []byte(testPolicies), location.Check)
	if err != nil {
		t.Fatal(err)
	}
	empty := withVolumes("dev", "cache")
	empty.Spec.VolumeClaimTemplates = nil
	cluster := &sets{
		labels: map[string]map[string]string{"prod": {"tier": "gold"}},
		found: []*appsv1.StatefulSet{
			empty, withVolumes("dev", "scratch"), withVolumes("prod", "pg"), annotated(withVolumes("prod", "queue"), "none"),
			annotated(withVolumes("prod", "slow"), "paused"), annotated(withVolumes("prod", "typo"), "pausd"),
		},
	}
	request := CheckRequest{
		File: file, Cluster: cluster, Namespace: "asked", Nothing: nothing, Now: time.Date(2026, 11, 21, 12, 15, 0, 0, time.UTC),
	}
	got, err := Check(t.Context(), request)
	if err != nil || cluster.asked != "asked" || got.Problems() != 1 {
		t.Errorf("%v; asked for %q; %d problems", err, cluster.asked, got.Problems())
	}
	runs := []time.Time{}
	for day := 22; day <= 24; day++ {
		runs = append(runs, time.Date(2026, 11, day, 1, 30, 0, 0, time.UTC))
	}
	none := []time.Time{}
	want := Checked{
		Policies: []PolicyUse{
			{Name: "gold", Schedule: "30 2 * * * Europe/Berlin", StatefulSets: 1}, {Name: "rest", Schedule: "@hourly UTC", StatefulSets: 1},
			{Name: "idle", Schedule: "@hourly UTC"}, {Name: "paused", Schedule: "@hourly UTC", Suspended: true, StatefulSets: 1},
		},
		StatefulSets: []AssignedStatefulSet{
			{Namespace: "dev", StatefulSet: "cache", Policy: "rest", NextRuns: none, Nothing: "it has no volumeClaimTemplates"},
			{Namespace: "dev", StatefulSet: "scratch", NextRuns: none},
			{Namespace: "prod", StatefulSet: "pg", Policy: "gold", AlsoSelectedBy: []string{"rest"}, NextRuns: runs},
			{Namespace: "prod", StatefulSet: "queue", Annotated: true, NextRuns: none},
			{Namespace: "prod", StatefulSet: "slow", Policy: "paused", Annotated: true, Suspended: true, NextRuns: none},
			{
				Namespace: "prod", StatefulSet: "typo", Annotated: true, NextRuns: none,
				Problem: `the annotation stsbackup.io/policy names the policy "pausd", which does not exist; did you mean "paused"?`,
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	cluster.labels = nil
	if _, err := Check(t.Context(), request); !errors.Is(err, errForbidden) {
		t.Errorf("without a right to the labels that a policy asks for: %v", err)
	}
}
