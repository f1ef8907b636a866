package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/service"
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

// withVolumes is a StatefulSet that can be backed up.
func withVolumes(namespace, name string) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       appsv1.StatefulSetSpec{VolumeClaimTemplates: make([]corev1.PersistentVolumeClaim, 1)},
	}
}

// checker is a cluster with StatefulSets, and the command that checks policies on it.
type checker struct {
	kube     *fake.Clientset
	out, err bytes.Buffer
	command  schedulerCommand
}

func newChecker() *checker {
	set := func(namespace, name, annotation string) *appsv1.StatefulSet {
		set := withVolumes(namespace, name)
		if annotation != "" {
			set.Annotations = map[string]string{policy.Annotation: annotation}
		}
		return set
	}
	return &checker{
		command: schedulerCommand{output: ui.Text, check: "policies.yaml"},
		kube: fake.NewClientset(
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod", Labels: map[string]string{"tier": "gold"}}},
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "dev"}},
			set("prod", "pg", ""), set("prod", "queue", "none"), set("prod", "slow", "paused"), set("dev", "scratch", ""), set("dev", "web", ""),
		),
	}
}

// run checks policies as of 21 November 2026.
func (c *checker) run(t *testing.T, policies string) error {
	t.Helper()
	file, err := policy.Parse("policies.yaml", []byte(policies), location.Check)
	if err != nil {
		t.Fatal(err)
	}
	c.out.Reset()
	c.err.Reset()
	a := &app{out: &c.out, err: &c.err, now: func() time.Time { return time.Date(2026, 11, 21, 12, 15, 0, 0, time.UTC) }}
	return c.command.show(t.Context(), a, &cluster.Client{Kube: c.kube}, file)
}

func TestSchedulerCheck(t *testing.T) {
	t.Parallel()
	c := newChecker()
	if err := c.run(t, testPolicies); err != nil {
		t.Fatal(err)
	}
	want := `STATEFULSET  POLICY  NEXT RUNS                                                                      NOTES
dev/scratch  -       -                                                                              no policy selects it
dev/web      rest    2026-11-21T13:00:00Z 2026-11-21T14:00:00Z 2026-11-21T15:00:00Z                 -
prod/pg      gold    2026-11-22T02:30:00+01:00 2026-11-23T02:30:00+01:00 2026-11-24T02:30:00+01:00  ` +
		`also selected by rest: the first in the file decides
prod/queue   -       -                                                                              by its annotation
prod/slow    paused  -                                                                              by its annotation; suspended
`
	if diff := cmp.Diff(want, c.out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := c.err.String(); got != "Policy idle applies to none of these StatefulSets.\n" {
		t.Errorf("said %q", got)
	}

	c.command.kube.namespace, c.command.output = "dev", ui.JSON
	if err := c.run(t, testPolicies); err != nil {
		t.Fatal(err)
	}
	var result service.Checked
	decode(t, c.out.String(), &result)
	if len(result.StatefulSets) != 2 || len(result.StatefulSets[1].NextRuns) != 3 || len(result.Policies) != 4 ||
		result.Policies[1].StatefulSets != 1 {
		t.Errorf("%+v", result)
	}

	cache := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "dev", Name: "cache"}}
	if _, err := c.kube.AppsV1().StatefulSets("dev").Create(t.Context(), cache, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.command.output = ui.Text
	if err := c.run(t, testPolicies); err != nil ||
		!strings.HasSuffix(strings.Split(c.out.String(), "\n")[1], "nothing to back up: it has no volumeClaimTemplates") {
		t.Errorf("%v, %s", err, &c.out)
	}
	c.command.kube.namespace, c.command.output = "empty", ui.Text
	if err := c.run(t, testPolicies); err != nil || c.out.Len() > 0 || !strings.Contains(c.err.String(), "There are no StatefulSets.") {
		t.Errorf("%v, %s%s", err, &c.out, &c.err)
	}
}

// TestSchedulerCheckUnknownPolicy: a typo in an annotation must not go unnoticed.
func TestSchedulerCheckUnknownPolicy(t *testing.T) {
	t.Parallel()
	c := newChecker()
	err := c.run(t, strings.ReplaceAll(testPolicies, "paused", "pauses"))
	if err == nil || exitCode(context.Background(), err) != exitFailed ||
		!strings.Contains(err.Error(), "1 of 5 StatefulSets would not be backed up") {
		t.Errorf("%v", err)
	}
	const want = `PROBLEM: the annotation stsbackup.io/policy names the policy "paused", which does not exist; did you mean "pauses"?`
	if !strings.Contains(c.out.String(), want) {
		t.Errorf("the output does not say %s:\n%s", want, &c.out)
	}
}

// TestSchedulerCheckRights: the check reads namespaces only if a policy asks for their labels; a user without the right
// to do so is told what to do.
func TestSchedulerCheckRights(t *testing.T) {
	t.Parallel()
	c := newChecker()
	forbid := func(resource string) {
		c.kube.PrependReactor("list", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", nil)
		})
	}
	forbid("namespaces")
	if err := c.run(t, testPolicies); err == nil || !strings.Contains(err.Error(), "select by their names") {
		t.Errorf("%v", err)
	}
	if err := c.run(t, strings.ReplaceAll(testPolicies, "namespaceLabels", "statefulSetLabels")); err != nil {
		t.Errorf("without namespaceLabels: %v", err)
	}
	forbid("statefulsets")
	if err := c.run(t, testPolicies); err == nil || !strings.Contains(err.Error(), "name one namespace") {
		t.Errorf("%v", err)
	}
	c.command.kube.namespace = "dev"
	if err := c.run(t, testPolicies); err == nil || !strings.Contains(err.Error(), "list the StatefulSets of namespace dev") {
		t.Errorf("%v", err)
	}
}

func TestSchedulerUsage(t *testing.T) {
	s := volumeShell(t)
	path := filepath.Join(t.TempDir(), "policies.yaml")
	s.run(exitUsage, "scheduler")
	s.says("stsbackup scheduler --policies FILE, or --check FILE")
	s.run(exitUsage, "scheduler", "--check", path, "--policies", path)
	s.run(exitUsage, "scheduler", path)
	s.run(exitUsage, "scheduler", "--check", path)
	s.says("no such file")
	wrong := strings.NewReplacer("s3://", "s4://", "@hourly", "* * * * * *").Replace(testPolicies)
	if err := os.WriteFile(path, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitUsage, "scheduler", "--check", path)
	s.says(
		path+":3: repository: the repository's URL has the unknown scheme s4://",
		path+":11: policies[1].schedule: ",
		path+":14: ",
		path+":17: ",
	)
	if err := os.WriteFile(path, []byte(testPolicies), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitFailed, "scheduler", "--check", path, "--kubeconfig", filepath.Join(t.TempDir(), "none"))
	s.says("find the cluster", "--kubeconfig")
}

// TestPolicyExample checks the example in the documentation.
func TestPolicyExample(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "policies.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "```yaml\n")
	example, _, found := strings.Cut(rest, "```\n")
	file, err := policy.Parse("docs/policies.md", []byte(example), location.Check)
	if err != nil || !found || len(file.Policies) != 2 {
		t.Errorf("%v, %+v", err, file)
	}
}
