package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/cluster/displaced"
)

// displacedCluster is an API server with volumes that were set aside; its CSI drivers delete at once.
type displacedCluster struct {
	mu         sync.Mutex
	volumes    map[string]corev1.PersistentVolume
	journals   map[string]bool // by namespace/name
	kubeconfig string
	listed     int
}

// newDisplacedCluster has the StatefulSet demo/web, for which two operations have set volumes aside, and volumes of
// StatefulSets that no longer exist: other/queue and gone/old.
func newDisplacedCluster(t *testing.T, more ...appsv1.StatefulSet) *displacedCluster {
	t.Helper()
	c := &displacedCluster{volumes: map[string]corev1.PersistentVolume{}, journals: map[string]bool{}}
	c.add("demo", "web", 0, "20261101T080000Z-0001", "2026-11-01T08:00:00Z")
	c.add("demo", "web", 1, "20261101T080000Z-0001", "2026-11-01T08:00:00Z")
	c.add("demo", "web", 0, "20261120T080000Z-0002", "2026-11-20T08:00:00Z")
	c.add("other", "queue", 0, "20261101T080000Z-0003", "2026-11-01T08:00:00Z")
	c.add("gone", "old", 0, "20261101T080000Z-0004", "2026-11-01T08:00:00Z")
	set := appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web", Labels: map[string]string{"tier": "web"}}}
	mux := clusterOf(append(more, set)...)
	addLeases(mux)
	c.serve(mux)
	c.kubeconfig = kubeconfig(t, mux)
	return c
}

// add adds a volume of 1 GiB.
func (c *displacedCluster) add(namespace, statefulSet string, ordinal int32, by, at string) {
	claim := cluster.ClaimName("www", statefulSet, ordinal)
	pv := corev1.PersistentVolume{
		TypeMeta: metav1.TypeMeta{Kind: "PersistentVolume", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{
			Name:            fmt.Sprintf("pv-%s-%d-%s", statefulSet, ordinal, by[len(by)-1:]),
			ResourceVersion: "1",
			Labels: map[string]string{
				cluster.LabelManagedBy:     cluster.ManagedBy,
				cluster.LabelStatefulSet:   statefulSet,
				cluster.LabelDisplacedFrom: claim,
			},
			Annotations: map[string]string{
				cluster.AnnotationDisplacedFrom: namespace + "/" + claim, cluster.AnnotationDisplacedBy: by, cluster.AnnotationDisplacedAt: at,
				cluster.AnnotationDisplacedPolicy: "Delete", "pv.kubernetes.io/provisioned-by": "csi.test",
			},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, StorageClassName: "fast",
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:                      &corev1.ObjectReference{Namespace: namespace, Name: claim, UID: "gone"},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased},
	}
	pv.UID = types.UID("uid-" + pv.Name)
	manifest, err := json.Marshal(corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: claim}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: pv.Name},
	})
	if err == nil {
		pv.Annotations[cluster.AnnotationDisplacedClaim] = string(manifest)
	}
	c.volumes[pv.Name] = pv
}

func (c *displacedCluster) serve(mux *http.ServeMux) {
	locked := func(pattern string, handle http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			c.mu.Lock()
			defer c.mu.Unlock()
			handle(w, r)
		})
	}
	locked("GET /api/v1/persistentvolumes", func(w http.ResponseWriter, _ *http.Request) {
		c.listed++
		list := corev1.PersistentVolumeList{TypeMeta: metav1.TypeMeta{Kind: "PersistentVolumeList", APIVersion: "v1"}}
		for _, name := range slices.Sorted(maps.Keys(c.volumes)) {
			list.Items = append(list.Items, c.volumes[name])
		}
		reply(w, http.StatusOK, list)
	})
	locked("PATCH /api/v1/persistentvolumes/{name}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		pv, found := c.volumes[r.PathValue("name")]
		var patch corev1.PersistentVolume
		if err != nil || !found || json.Unmarshal(body, &patch) != nil || patch.UID != pv.UID || patch.ResourceVersion != pv.ResourceVersion {
			reply(
				w,
				http.StatusConflict,
				metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonConflict, Code: http.StatusConflict},
			)
			return
		}
		pv.Spec.PersistentVolumeReclaimPolicy = patch.Spec.PersistentVolumeReclaimPolicy
		delete(c.volumes, pv.Name)
		reply(w, http.StatusOK, pv)
	})
	locked("GET /api/v1/namespaces/{namespace}/pods", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}})
	})
	locked("GET /apis/storage.k8s.io/v1/volumeattachments", func(w http.ResponseWriter, _ *http.Request) {
		reply(
			w,
			http.StatusOK,
			storagev1.VolumeAttachmentList{TypeMeta: metav1.TypeMeta{Kind: "VolumeAttachmentList", APIVersion: "storage.k8s.io/v1"}},
		)
	})
	locked("GET /api/v1/namespaces/{namespace}/configmaps/{name}", func(w http.ResponseWriter, r *http.Request) {
		if !c.journals[r.PathValue("namespace")+"/"+r.PathValue("name")] {
			reply(w, http.StatusNotFound, notFound())
			return
		}
		reply(w, http.StatusOK, corev1.ConfigMap{
			TypeMeta: metav1.TypeMeta{
				Kind:       "ConfigMap",
				APIVersion: "v1",
			},
			Data: map[string]string{cluster.JournalPhaseKey: "fill", cluster.JournalPointKey: "20261120T070000Z-3fa9"},
		})
	})
}

// left returns the names of the volumes that still exist.
func (c *displacedCluster) left() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(c.volumes)), " ")
}

// discardShell runs discard on 21 November 2026.
func discardShell(t *testing.T, c *displacedCluster) (s *shell, discard func(want int, args ...string) string) {
	t.Helper()
	s = volumeShell(t)
	s.now = func() time.Time { return time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC) }
	return s, func(want int, args ...string) string {
		t.Helper()
		return s.run(want, append([]string{"discard", "--kubeconfig", c.kubeconfig}, args...)...)
	}
}

const everyVolume = "pv-old-0-4 pv-queue-0-3 pv-web-0-1 pv-web-0-2 pv-web-1-1"

func TestDiscardPlan(t *testing.T) {
	c := newDisplacedCluster(t)
	s, discard := discardShell(t, c)
	want := `Free 2 volumes of demo/web that were set aside (2 GiB):

ORDINAL  CLAIM      VOLUME      SIZE   CLASS  AGE      SET ASIDE BY           WHY       THEN
0        www-web-0  pv-web-0-1  1 GiB  fast   20 days  20261101T080000Z-0001  replaced  deleted with its data by csi.test
1        www-web-1  pv-web-1-1  1 GiB  fast   20 days  20261101T080000Z-0001  replaced  deleted with its data by csi.test

pv-web-0-2 (claim www-web-0) stays as it is: it has been set aside since 2026-11-20T08:00:00Z only.
`
	if out := discard(exitDone, "demo/web", "--dry-run", "--older-than", "30d"); !strings.HasPrefix(
		out,
		"There is nothing to free for demo/web.\n",
	) {
		t.Errorf("older than 30 days:\n%s", out)
	}
	if diff := cmp.Diff(want, discard(exitDone, "demo/web", "--dry-run", "--older-than", "2d")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	plans := documents[displaced.Plan](t, discard(exitDone, "--all", "-A", "--dry-run", "-o", "json"))
	if len(plans) != 3 || plans[0].StatefulSet != "web" || len(plans[0].Volumes) != 3 || plans[2].Bytes != 1<<30 ||
		plans[1].Volumes[0].Fate == "" {
		t.Errorf("%+v", plans)
	}
	c.journals["demo/"+cluster.JournalName("web")] = true
	if out := discard(exitRefused, "demo/web", "--dry-run"); !strings.Contains(out, "Free 3 volumes") {
		t.Errorf("the plan is not shown:\n%s", out)
	}
	s.says("a restore of recovery point 20261120T070000Z-3fa9 has begun and has not ended", "stsbackup restore demo/web")
	discard(exitRefused, "demo/web", "--yes")
	if c.left() != everyVolume {
		t.Errorf("left: %s", c.left())
	}
}

func TestDiscardUsage(t *testing.T) {
	c := newDisplacedCluster(t, appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "quiet"}})
	s, discard := discardShell(t, c)
	for _, tt := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "give --yes to go ahead, or --dry-run", []string{"demo/web"}},
		{exitUsage, "give --yes to go ahead, or --dry-run", []string{"demo/web", "-o", "json"}},
		{exitUsage, "name StatefulSets, or choose them", []string{"--yes"}},
		{exitUsage, "leave @latest out", []string{"demo/web@latest", "--yes"}},
		{exitUsage, `"one" is not an ordinal`, []string{"demo/web", "--ordinals", "0,one", "--yes"}},
		{exitUsage, "is not a duration", []string{"demo/web", "--older-than", "7", "--yes"}},
		{exitNotFound, "no volume of demo/none is set aside: StatefulSet demo/none: not found", []string{"demo/none", "--yes"}},
		{exitRefused, "no volume of ordinal 7 is set aside", []string{"demo/web", "--ordinals", "0,7", "--yes"}},
		{exitRefused, "several operations begin with \"2026\": 20261120T080000Z-0002, " +
			"20261101T080000Z-0001", []string{"demo/web", "--operation", "2026", "--yes"}},
		// A variable that was never set must not choose everything.
		{exitUsage, `"" is no id of an operation`, []string{"demo/web", "--operation", "", "--yes"}},
		{exitUsage, `"--ordinals" is no id of an operation`, []string{"demo/web", "--operation", "--ordinals", "0", "--yes"}},
		{exitRefused, "no operation \"1\"", []string{"demo/web", "--operation", "1", "--yes"}},
		{exitDone, "There is nothing to free for demo/quiet.", []string{"demo/quiet", "--yes"}},
		{exitDone, "No volumes are set aside in namespace ", []string{"--all", "-n", "empty", "--yes"}},
		{exitDone, "No volumes are set aside in namespace ", []string{"--selector", "tier=cache", "-n", "demo", "--yes"}},
	} {
		discard(tt.code, tt.args...)
		s.says(tt.says)
	}
	if c.left() != everyVolume {
		t.Errorf("left: %s", c.left())
	}
}

func TestDiscard(t *testing.T) {
	c := newDisplacedCluster(t)
	s, discard := discardShell(t, c)
	out := discard(exitDone, "demo/web", "--ordinals", "0", "--operation", "20261101", "--yes")
	if want := "Freed 1 volume of demo/web (1 GiB):\n  pv-web-0-1 (claim www-web-0, 1 GiB): deleted with its data by csi.test\n"; out != want {
		t.Errorf("got %s", out)
	}
	if want := strings.Replace(everyVolume, "pv-web-0-1 ", "", 1); c.left() != want {
		t.Errorf("left: %s", c.left())
	}
	// The namespace of these volumes is gone too, so there is no Lease.
	discard(exitDone, "gone/old", "--yes")
	s.says("Namespace gone is gone")
	reports := documents[displaced.Report](t, discard(exitDone, "--all", "-A", "--yes", "-o", "json", "--older-than", "2d"))
	if len(reports) != 2 || len(reports[0].Freed) != 1 || reports[0].Freed[0].Name != "pv-web-1-1" || reports[1].Bytes != 1<<30 {
		t.Errorf("%+v", reports)
	}
	if c.left() != "pv-web-0-2" {
		t.Errorf("left: %s", c.left())
	}
	discard(exitDone, "-l", "tier=web", "-n", "demo", "--yes")
	if c.left() != "" {
		t.Errorf("left: %s", c.left())
	}
}

// TestDiscardAsks: only "yes" is consent.
func TestDiscardAsks(t *testing.T) {
	for answer, want := range map[string]struct {
		code int
		left string
	}{
		"yes\n": {exitDone, "pv-old-0-4 pv-queue-0-3"},
		"y\n":   {exitFailed, everyVolume},
		"":      {exitFailed, everyVolume},
	} {
		c := newDisplacedCluster(t)
		var out, text bytes.Buffer
		a := &app{
			in: strings.NewReader(answer), out: &out, err: &text, terminal: true, getenv: func(string) string { return "" }, now: time.Now,
			random: rand.Reader, version: "test",
		}
		code := execute(t.Context(), a, []string{"discard", "demo/web", "--kubeconfig", c.kubeconfig})
		if code != want.code || c.left() != want.left || !strings.Contains(text.String(), "pv-web-1-1") ||
			!strings.Contains(text.String(), "Type yes to go ahead: ") {
			t.Errorf("%q: exit code %d, left %s\n%s", answer, code, c.left(), &text)
		}
	}
}
