package displaced

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

func TestListReadsTheMarks(t *testing.T) {
	w := newWorld(t, aside(1), claimOf("www-web-1", "pv-new", "new-claim"))
	found, err := List(t.Context(), w.client(), "demo", "web")
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	got := found[0]
	d, err := got.Displaced()
	if err != nil || d.Claim.Name != "www-web-1" || d.UID != "old-claim-1" || d.VolumeUID != "uid-pv-1" ||
		d.ReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		t.Errorf("%+v, %v", d, err)
	}
	got.again, got.claimed = nil, time.Time{}
	want := Volume{
		Name:            "pv-1",
		UID:             "uid-pv-1",
		ResourceVersion: "1",
		Namespace:       "demo",
		StatefulSet:     "web",
		Claim:           "www-web-1",
		Template:        "www",
		Ordinal:         1,
		Size:            1 << 30,
		Class:           "fast",
		At:              asideAt(),
		By:              restoreID,
		Why:             WhyReplaced,
		Phase:           corev1.VolumeReleased,
		State:           StateAside,
		Provisioned:     true,
		Driver:          "csi.test",
		Deletes:         true,
		Policy:          corev1.PersistentVolumeReclaimDelete,
		Now:             "pv-new",
	}
	if got != want {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
}

// TestState: labels can be out of date. The claimRef and the claims say what a volume is now.
func TestState(t *testing.T) {
	bound := func(pv *corev1.PersistentVolume) {
		pv.Spec.ClaimRef.UID, pv.Status.Phase = "again", corev1.VolumeBound
	}
	for what, tt := range map[string]struct {
		pv    *corev1.PersistentVolume
		claim *corev1.PersistentVolumeClaim
		want  State // "": not ours any more
	}{
		"no claim":         {aside(0), nil, StateAside},
		"another volume's": {aside(0), claimOf("www-web-0", "pv-new", "again"), StateAside},
		"bound again":      {aside(0, bound), claimOf("www-web-0", "pv-0", "again"), StateBound},
		"not yet let go":   {aside(0), claimOf("www-web-0", "pv-0", "old-claim-0"), StateBound},
		"reserved":         {aside(0, func(pv *corev1.PersistentVolume) { pv.Spec.ClaimRef.UID = "" }), nil, StateReserved},
		"being bound": {
			aside(0, func(pv *corev1.PersistentVolume) { pv.Spec.ClaimRef.UID = "" }), claimOf("www-web-0", "pv-0", "again"),
			StateReserved,
		},
		"given up": {
			aside(0, func(pv *corev1.PersistentVolume) { pv.Spec.PersistentVolumeReclaimPolicy = "Delete" }), nil, StateGoing,
		},
		"made Available":       {aside(0, func(pv *corev1.PersistentVolume) { pv.Spec.ClaimRef = nil }), nil, StateFree},
		"taken by another":     {aside(0, func(pv *corev1.PersistentVolume) { pv.Spec.ClaimRef.Name = "data-db-0" }), nil, ""},
		"of another namespace": {aside(0, func(pv *corev1.PersistentVolume) { pv.Spec.ClaimRef.Namespace = "other" }), nil, ""},
		"another's label":      {aside(0, func(pv *corev1.PersistentVolume) { pv.Labels[cluster.LabelDisplacedFrom] = "data-db-0" }), nil, ""},
		"without our label":    {aside(0, func(pv *corev1.PersistentVolume) { pv.Labels[cluster.LabelManagedBy] = "Helm" }), nil, ""},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, tt.pv)
			if tt.claim != nil {
				w.add(tt.claim)
			}
			found, err := List(t.Context(), w.client(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" && len(found) > 0 || tt.want != "" && (len(found) != 1 || found[0].State != tt.want) {
				t.Errorf("got %+v, want %q", found, tt.want)
			}
			if sets := Sets(found); (len(sets) == 1) != (tt.want == StateAside) {
				t.Errorf("sets: %+v", sets)
			}
		})
	}
}

// TestMarksAreChecked: a user who may annotate a volume must not be able to have a user with more rights create
// another claim, or free a StatefulSet's volume.
func TestMarksAreChecked(t *testing.T) {
	annotate := func(key, value string) func(*corev1.PersistentVolume) {
		return func(pv *corev1.PersistentVolume) { pv.Annotations[key] = value }
	}
	for what, tt := range map[string]struct {
		change  func(*corev1.PersistentVolume)
		problem string
		again   bool // it could still be bound again
	}{
		"another claim's manifest": {
			annotate(cluster.AnnotationDisplacedClaim, `{"metadata":{"namespace":"kube-system","name":"www-web-0"},"spec":{"volumeName":"pv-0"}}`),
			`holds the manifest of claim "kube-system/www-web-0"`, false,
		},
		"another volume's": {
			annotate(cluster.AnnotationDisplacedClaim, `{"metadata":{"namespace":"demo","name":"www-web-0"},"spec":{"volumeName":"pv-9"}}`),
			`the manifest of a claim on volume "pv-9"`, false,
		},
		"no manifest":    {annotate(cluster.AnnotationDisplacedClaim, `{`), "read the claim of volume pv-0", false},
		"no policy":      {annotate(cluster.AnnotationDisplacedPolicy, "Destroy"), `"Destroy" is not a reclaim policy`, true},
		"no time":        {annotate(cluster.AnnotationDisplacedAt, "yesterday"), `"yesterday" is not a time`, true},
		"no reason":      {annotate(cluster.AnnotationDisplacedWhy, "just so"), `"just so" is not a reason`, true},
		"no StatefulSet": {func(pv *corev1.PersistentVolume) { pv.Labels[cluster.LabelStatefulSet] = "db" }, `none of a StatefulSet "db"`, true},
	} {
		t.Run(what, func(t *testing.T) {
			found, err := List(t.Context(), newWorld(t, aside(0, tt.change)).client(), "", "")
			if err != nil || len(found) != 1 || !strings.Contains(found[0].Problem, tt.problem) {
				t.Fatalf("%+v, %v", found, err)
			}
			if _, err := found[0].Displaced(); (err == nil) != tt.again {
				t.Errorf("bound again: %v", err)
			}
		})
	}
	known := aside(0, annotate(cluster.AnnotationDisplacedWhy, "incomplete"))
	if v, ours := read(known); !ours || v.Why != WhyIncomplete || v.Problem != "" {
		t.Errorf("%+v", v)
	}
	kept := aside(0, func(pv *corev1.PersistentVolume) {
		pv.Spec.CSI.VolumeAttributes = map[string]string{"onDelete": "archive"}
	})
	if v, _ := read(kept); v.Deletes || !v.Provisioned {
		t.Errorf("a class that has the driver keep the data: %+v", v)
	}
}

// TestNameOfClaim: a claim's name alone can belong to several StatefulSets, and a label cannot hold every StatefulSet's name.
func TestNameOfClaim(t *testing.T) {
	long := strings.Repeat("a-b", 30)
	for _, tt := range []struct {
		claim, label, template, statefulSet string
		ordinal                             int32
	}{
		{"www-web-0", "web", "www", "web", 0},
		{"my-data-my-db-12", "my-db", "my-data", "my-db", 12},
		{"my-data-my-db-12", "db", "my-data-my", "db", 12},
		{"a-a-a-1", "a-a", "a", "a-a", 1},
		{"data-" + long + "-3", cluster.LabelValue(long), "data", long, 3},
		{"data-web-03", "web", "", "", -1},
		{"data-web", "web", "", "", -1},
		{"web-0", "web", "", "", -1},
	} {
		v := Volume{Claim: tt.claim, Ordinal: -1}
		err := v.readName(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{cluster.LabelStatefulSet: tt.label}}})
		if v.Template != tt.template || v.StatefulSet != tt.statefulSet || v.Ordinal != tt.ordinal || (err != nil) != (tt.ordinal < 0) {
			t.Errorf("%s of %s: %q %q %d, %v", tt.claim, tt.label, v.Template, v.StatefulSet, v.Ordinal, err)
		}
	}
}

// later changes the operation that has set a volume aside, and the time.
func later(id string, at time.Time) func(*corev1.PersistentVolume) {
	return func(pv *corev1.PersistentVolume) {
		pv.Annotations[cluster.AnnotationDisplacedBy], pv.Annotations[cluster.AnnotationDisplacedAt] = id, at.Format(time.RFC3339)
		pv.Name, pv.UID = pv.Name+"-"+id, pv.UID+"-again"
	}
}

func TestSetsAndCount(t *testing.T) {
	of := func(statefulSet string) func(*corev1.PersistentVolume) {
		return func(pv *corev1.PersistentVolume) {
			name := "www-" + statefulSet + "-0"
			pv.Name, pv.Labels[cluster.LabelStatefulSet], pv.Labels[cluster.LabelDisplacedFrom] = statefulSet, statefulSet, name
			pv.Annotations[cluster.AnnotationDisplacedFrom], pv.Spec.ClaimRef.Name = "demo/"+name, name
		}
	}
	day := 24 * time.Hour
	w := newWorld(
		t,
		aside(0),
		aside(1, func(pv *corev1.PersistentVolume) {
			pv.Annotations[cluster.AnnotationDisplacedAt] = asideAt().Add(time.Hour).Format(time.RFC3339)
		}),
		aside(0, later("second", asideAt().Add(day))),
		aside(
			1,
			later("third", asideAt().Add(day)),
			func(pv *corev1.PersistentVolume) { pv.Annotations[cluster.AnnotationDisplacedWhy] = "undone" },
		),
		aside(0, of("other")),
		aside(0, of("unknown"), func(pv *corev1.PersistentVolume) { delete(pv.Annotations, cluster.AnnotationDisplacedAt) }),
		aside(2, func(pv *corev1.PersistentVolume) { pv.Status.Phase = corev1.VolumeBound }),
	)
	w.add(claimOf("www-web-2", "pv-2", "old-claim-2"))
	found, err := List(t.Context(), w.client(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range Sets(found) {
		line := s.StatefulSet + " " + s.Operation + " " + string(s.Why) + " " + s.At.Format(time.DateTime)
		for _, v := range s.Volumes {
			line += " " + v.Name
		}
		got = append(got, line)
	}
	want := []string{
		"other " + restoreID + " replaced 2026-11-21 08:15:00 other",
		"unknown " + restoreID + " replaced 0001-01-01 00:00:00 unknown",
		"web third undone 2026-11-22 08:15:00 pv-1-third",
		"web second replaced 2026-11-22 08:15:00 pv-0-second",
		"web " + restoreID + " replaced 2026-11-21 09:15:00 pv-1 pv-0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sets (-want +got):\n%s", diff)
	}
	w.kube.ClearActions()
	tallies, err := Count(t.Context(), w.client(), "demo")
	wantTallies := []Tally{
		{Namespace: "demo", StatefulSet: "other", Volumes: 1, Bytes: 1 << 30, Ages: []time.Time{asideAt()}},
		{Namespace: "demo", StatefulSet: "unknown", Volumes: 1, Bytes: 1 << 30},
		{
			Namespace:   "demo",
			StatefulSet: "web",
			Volumes:     4,
			Bytes:       4 << 30,
			Ages:        []time.Time{asideAt().Add(time.Hour), asideAt().Add(day), asideAt().Add(day)},
		},
	}
	if diff := cmp.Diff(wantTallies, tallies); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if n := len(w.kube.Actions()); n != 1 {
		t.Errorf("%d requests to count", n)
	}
	if tallies, err := Count(t.Context(), w.client(), "other"); err != nil || len(tallies) > 0 {
		t.Errorf("of another namespace: %+v, %v", tallies, err)
	}
}
