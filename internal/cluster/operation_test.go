package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

func testOperation() Operation {
	return Operation{ID: "20261121T081200Z-3fa91c07", Kind: "backup", Namespace: "demo", StatefulSet: "web"}
}

func TestNames(t *testing.T) {
	op := testOperation()
	long := strings.Repeat("x", 63)
	if got, want := op.VolumeName(2, "www"), "stsbackup-20261121t081200z-3fa91c07-e31527-2-www"; got != want {
		t.Errorf("VolumeName = %q, want %q", got, want)
	}
	seen := map[string]bool{}
	for _, parts := range [][]string{
		{"0", "www"}, {"1", "www"}, {"0", long}, {"1", long}, {"0", long + "y"}, {"0", "a.b"}, {"0", "a-b"}, {"mover"},
	} {
		name := op.Name(parts...)
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Errorf("Name(%q) = %q: %v", parts, name, problems)
		}
		if !strings.HasPrefix(name, namePrefix) {
			t.Errorf("Name(%q) = %q does not begin with %q", parts, name, namePrefix)
		}
		if seen[name] {
			t.Errorf("Name(%q) = %q is another's name", parts, name)
		}
		seen[name] = true
	}
}

// Operations on two StatefulSets of a namespace may draw the same id in the same second.
func TestNamesOfTwoStatefulSetsDiffer(t *testing.T) {
	one, other := testOperation(), testOperation()
	other.StatefulSet = "web2"
	elsewhere := testOperation()
	elsewhere.Namespace = "demo2"
	for _, template := range []string{"www", strings.Repeat("x", 63)} {
		names := []string{one.VolumeName(0, template), other.VolumeName(0, template), elsewhere.VolumeName(0, template)}
		if names[0] == names[1] || names[0] == names[2] {
			t.Errorf("names %q", names)
		}
		for _, name := range names {
			if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
				t.Errorf("%q: %v", name, problems)
			}
		}
	}
}

func TestMoverMark(t *testing.T) {
	op := testOperation()
	mark, want := op.MoverMark("uid"), MarkedMover{Cluster: "uid", Namespace: op.Namespace, StatefulSet: op.StatefulSet}
	for _, job := range []string{
		op.VolumeName(0, "www"), op.VolumeName(12, strings.Repeat("x", 63)), op.Name("0", "www", "back"), op.earlierName("0", "www"),
	} {
		if got, ok := ParseMoverMark(mark, job+"-x7k2p"); got != want || !ok {
			t.Errorf("the pod of Job %s is that of %+v", job, got)
		}
	}
	pod := op.VolumeName(0, "www") + "-x7k2p"
	for _, pod := range []string{"", "web-0", "stsbackup-web", "stsbackup-20261121t081200z-3fa91c08-0-www-x7k2p",
		"stsbackup-20261121t081200z-3fa91c07",
		"stsbackup-20261121t081200z-3fa9-0-www-x7k2p"} {
		if got, ok := ParseMoverMark(mark, pod); ok {
			t.Errorf("%q is that of %+v", pod, got)
		}
	}
	for _, operation := range []string{
		"", op.ID, op.LeaseMark("uid"), op.MoverMark(""), "mover:uid", "mover:uid:", "mover:uid:" + op.ID, "mover:uid:" + op.ID + ":demo",
		"mover:uid:" + op.ID + ":demo/", "mover:uid:" + op.ID + ":/web", "mover:uid:" + op.ID + ":../web", mark + ":", mark + "/x",
	} {
		if got, ok := ParseMoverMark(operation, pod); ok {
			t.Errorf("a lock that says %q is that of %+v", operation, got)
		}
	}
}

func TestLeaseName(t *testing.T) {
	if got, want := LeaseName("web"), "stsbackup-web"; got != want {
		t.Errorf("LeaseName = %q, want %q", got, want)
	}
	long := strings.Repeat("x", 253)
	if problems := validation.IsDNS1123Subdomain(LeaseName(long)); len(problems) > 0 {
		t.Errorf("LeaseName of a long name: %v", problems)
	}
	if LeaseName(long) == LeaseName(long[1:]+"y") {
		t.Error("two StatefulSets have the same Lease")
	}
}

func TestLabelsAreValid(t *testing.T) {
	op := testOperation()
	op.StatefulSet = strings.Repeat("s", 200)
	claim := "www-" + op.StatefulSet + "-0"
	labels := op.VolumeLabels(0, claim)
	for key, value := range labels {
		if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
			t.Errorf("label %s=%s: %v", key, value, problems)
		}
	}
	if labels[LabelClaim] == op.VolumeLabels(1, "www-"+op.StatefulSet+"-1")[LabelClaim] {
		t.Error("the claims of two ordinals have the same label")
	}
	want := map[string]string{AnnotationStatefulSet: op.StatefulSet, AnnotationClaim: claim}
	if diff := cmp.Diff(want, op.Annotations(claim)); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func testStatefulSet(replicas, start int32) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web", UID: "sts-uid"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas,
			Ordinals: &appsv1.StatefulSetOrdinals{Start: start},
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{
				{ObjectMeta: metav1.ObjectMeta{Name: "www", Labels: map[string]string{"tier": "gold", "app": "other"}}},
			},
		},
	}
}

func TestOrdinals(t *testing.T) {
	if diff := cmp.Diff([]int32{5, 6, 7}, Ordinals(testStatefulSet(3, 5))); diff != "" {
		t.Errorf("ordinals (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int32{0}, Ordinals(&appsv1.StatefulSet{})); diff != "" {
		t.Errorf("ordinals by default (-want +got):\n%s", diff)
	}
}

func TestClaimOrdinal(t *testing.T) {
	for claim, want := range map[string]int32{
		"www-web-0": 0, "www-web-12": 12, "www-web-01": -1, "www-web-": -1, "www-web-1-0": -1, "data-web-0": -1, "www-webb-0": -1,
		"www-web--1": -1, "www-web-99999999999": -1,
	} {
		got, ok := ClaimOrdinal(claim, "www", "web")
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("ClaimOrdinal(%q) = %d, %v", claim, got, ok)
		}
		if ok && ClaimName("www", "web", got) != claim {
			t.Errorf("ClaimName(%d) = %q, want %q", got, ClaimName("www", "web", got), claim)
		}
	}
}

func TestClaimLabels(t *testing.T) {
	want := map[string]string{"tier": "gold", "app": "web"}
	if diff := cmp.Diff(want, ClaimLabels(testStatefulSet(1, 0), "www")); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func TestSuggest(t *testing.T) {
	names := []string{"demo/web", "demo/redis", "prod/wbe", "prod/web"}
	for _, tt := range []struct{ namespace, name, want string }{
		{"demo", "wbe", "did you mean demo/web or prod/wbe?"},
		{"test", "web", "did you mean demo/web or prod/web?"},
		{"prod", "weg", "did you mean prod/wbe or prod/web?"},
		{"prod", "redis", "did you mean demo/redis?"},
		{"prod", "reds", "namespace prod has wbe, web"},
		{"demo", "redis-master", "did you mean demo/redis?"},
		{"demo", "postgres", "namespace demo has redis, web"},
		{"empty", "postgres", "namespace empty has no StatefulSet; name another with -n or NS/STS"},
	} {
		if got := suggest(tt.namespace, tt.name, names); got != tt.want {
			t.Errorf("suggest(%s/%s) = %q, want %q", tt.namespace, tt.name, got, tt.want)
		}
	}
	// StatefulSets of the same name in other namespaces do not displace similar names nearby.
	for i := range 9 {
		names = append(names, fmt.Sprintf("a%d/wbe", i))
	}
	if got := suggest("demo", "wbe", names); !strings.HasPrefix(got, "did you mean demo/web or a0/wbe or ") {
		t.Errorf("suggest among many = %q", got)
	}
}
