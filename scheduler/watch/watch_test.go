package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// created is when all StatefulSets in these tests were created.
func created() time.Time { return time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC) }

func number(n int32) *int32 { return &n }

func statefulSet(name string) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "demo", Name: name, UID: "uid", ResourceVersion: "1", CreationTimestamp: metav1.NewTime(created()),
			Annotations: map[string]string{policy.Annotation: "gold", "kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 1000)},
		},
		Spec: appsv1.StatefulSetSpec{ServiceName: "web", Replicas: number(3), VolumeClaimTemplates: make([]corev1.PersistentVolumeClaim, 2)},
	}
}

// sized returns what is known about the spec.
func sized(set *appsv1.StatefulSet) string {
	return fmt.Sprintf("%d of %d", cluster.Replicas(set), len(set.Spec.VolumeClaimTemplates))
}

// started is a watch that runs.
func started(t *testing.T, kube kubernetes.Interface, namespace string) *Watch {
	t.Helper()
	w, err := New(kube, namespace, sized)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		w.Stop()
	})
	w.Start(ctx)
	await(t, w)
	return w
}

func await(t *testing.T, w *Watch) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.Await(ctx); err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until the StatefulSets are as wanted, and looks only after the watch has announced a change.
func waitFor(t *testing.T, w *Watch, what string, wanted func([]scheduler.StatefulSet) bool) {
	t.Helper()
	limit := time.After(time.Minute)
	for !wanted(w.StatefulSets()) {
		select {
		case <-w.Changed():
		case <-limit:
			t.Fatalf("%s: %+v", what, w.StatefulSets())
		}
	}
}

// TestWatch follows StatefulSets and the labels of their namespaces.
func TestWatch(t *testing.T) {
	t.Parallel()
	kube := fake.NewClientset(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "demo", Labels: map[string]string{"tier": "db"}}}, statefulSet("web"),
	)
	w := started(t, kube, "")
	sets := w.StatefulSets()
	if len(sets) != 1 || sets[0].Nothing != "3 of 2" || !sets[0].Created.Equal(created()) || sets[0].Name != "web" || sets[0].UID != "uid" ||
		sets[0].Annotations[policy.Annotation] != "gold" ||
		len(sets[0].Annotations) != 1 ||
		sets[0].NamespaceLabels != nil {
		t.Fatalf("%+v", sets)
	}
	if err := w.NeedNamespaces(t.Context(), kube); err != nil {
		t.Fatal(err)
	}
	w.Start(t.Context())
	waitFor(t, w, "the namespace's labels", func(sets []scheduler.StatefulSet) bool { return sets[0].NamespaceLabels["tier"] == "db" })
	if _, err := kube.AppsV1().StatefulSets("demo").Create(t.Context(), statefulSet("db"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, w, "a new one", func(sets []scheduler.StatefulSet) bool { return len(sets) == 2 })
	// This one is being deleted, and cannot go because somebody holds it.
	dying := statefulSet("web")
	dying.Finalizers, dying.DeletionTimestamp = []string{"example.com/hold"}, &metav1.Time{Time: time.Now()}
	if _, err := kube.AppsV1().StatefulSets("demo").Update(t.Context(), dying, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, w, "one less", func(sets []scheduler.StatefulSet) bool { return len(sets) == 1 && sets[0].Name == "db" })
}

// TestDiffer: changes in parts that the scheduler does not look at wake nobody.
func TestDiffer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*appsv1.StatefulSet)
		want   bool
	}{
		"nothing":       {func(*appsv1.StatefulSet) {}, false},
		"status":        {func(s *appsv1.StatefulSet) { s.Status.ReadyReplicas = 3; s.ResourceVersion = "2" }, false},
		"an annotation": {func(s *appsv1.StatefulSet) { s.Annotations["other"] = "x" }, false},
		"labels":        {func(s *appsv1.StatefulSet) { s.Labels = map[string]string{"tier": "db"} }, true},
		"the policy":    {func(s *appsv1.StatefulSet) { s.Annotations[policy.Annotation] = "none" }, true},
		"its deletion":  {func(s *appsv1.StatefulSet) { s.DeletionTimestamp = &metav1.Time{} }, true},
		"replicas":      {func(s *appsv1.StatefulSet) { s.Spec.Replicas = number(0) }, true},
		"templates":     {func(s *appsv1.StatefulSet) { s.Spec.VolumeClaimTemplates = nil }, true},
		"made anew":     {func(s *appsv1.StatefulSet) { s.UID = "another" }, true},
	} {
		before, after := statefulSet("web"), statefulSet("web")
		test.change(after)
		if got := differ(before, after); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestForbidden: the error says which right is missing, and nobody waits for namespaces that may not be listed.
func TestForbidden(t *testing.T) {
	t.Parallel()
	kube := fake.NewClientset(statefulSet("web"))
	forbid := func(resource string) {
		kube.PrependReactor("list", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no"))
		})
	}
	forbid("namespaces")
	w := started(t, kube, "demo")
	if err := w.NeedNamespaces(t.Context(), kube); err == nil || !strings.Contains(err.Error(), "select by their names") || !w.Synced() {
		t.Errorf("%v", err)
	}
	forbid("statefulsets")
	other, err := New(kube, "", sized)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	other.Start(ctx)
	if err := other.Await(ctx); err == nil || !strings.Contains(err.Error(), "name one namespace with -n") {
		t.Errorf("%v", err)
	}
	cancel()
	other.Stop()
}

// server is an API server that can stop and come back with other StatefulSets.
type server struct {
	mutex sync.Mutex
	sets  []*appsv1.StatefulSet
	down  bool
	// cut ends the running watches.
	cut   chan struct{}
	lists int
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	down, cut, sets := s.down, s.cut, slices.Clone(s.sets)
	watching := r.URL.Query().Get("watch") != ""
	if !watching {
		s.lists++
	}
	s.mutex.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case down, watching && r.URL.Query().Get("sendInitialEvents") != "":
		http.Error(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":503}`, http.StatusServiceUnavailable)
	case watching:
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-cut:
		case <-r.Context().Done():
		}
	default:
		list := appsv1.StatefulSetList{
			TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSetList"},
			ListMeta: metav1.ListMeta{ResourceVersion: "1"},
		}
		for _, set := range sets {
			list.Items = append(list.Items, *set)
		}
		_ = json.NewEncoder(w).Encode(list)
	}
}

func (s *server) set(change func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	change()
}

// TestServerRestarts: while the API server is away, what was known stays known; afterwards the watch finds what has
// changed.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	api := &server{sets: []*appsv1.StatefulSet{statefulSet("web")}, cut: make(chan struct{})}
	listening := httptest.NewServer(api)
	t.Cleanup(listening.Close)
	kube, err := kubernetes.NewForConfig(
		&rest.Config{Host: listening.URL, QPS: 100, Burst: 100, ContentConfig: rest.ContentConfig{ContentType: "application/json"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	w := started(t, kube, "")
	api.set(func() {
		if api.lists != 1 {
			t.Errorf("listed %d times before the restart", api.lists)
		}
	})
	api.set(func() {
		api.down = true
		close(api.cut)
	})
	waitFailure(t, w)
	if sets := w.StatefulSets(); len(sets) != 1 || !w.Synced() {
		t.Errorf("while it is away: %+v", sets)
	}
	api.set(func() {
		api.down, api.cut = false, make(chan struct{})
		api.sets = append(api.sets, statefulSet("db"))
	})
	waitFor(t, w, "afterwards", func(sets []scheduler.StatefulSet) bool { return len(sets) == 2 })
	api.set(func() { close(api.cut) })
}

func waitFailure(t *testing.T, w *Watch) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(time.Minute)
	for w.Failure() == nil {
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatal("nobody noticed that the API server is away")
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	recorder := record.NewFakeRecorder(10)
	recorder.IncludeObject = true
	e := newEvents(nil, recorder, "stsbackup", "scheduler.stsbackup.io")
	set := scheduler.StatefulSet{StatefulSet: policy.StatefulSet{Namespace: "demo", Name: "web"}, UID: "uid"}
	e.Warn(set, scheduler.ReasonGivenUp, strings.Repeat("ä", 2000))
	e.Note(set, scheduler.ReasonRecovered, "well")
	e.PoliciesRejected(errors.New("line 3"))
	first, second, third := <-recorder.Events, <-recorder.Events, <-recorder.Events
	if !strings.HasPrefix(first, "Warning BackupGivenUp ää") || !strings.Contains(first, "ä…") || strings.Contains(first, "\uFFFD") ||
		len(first) > textMost+200 {
		t.Errorf("%d bytes: %s", len(first), first)
	}
	if !strings.HasPrefix(second, "Normal BackupRecovered well") || !strings.Contains(second, "StatefulSet") ||
		!strings.HasPrefix(third, "Warning PoliciesRejected The policies before stay in force: line 3") || !strings.Contains(third, "Lease") {
		t.Errorf("%s\n%s", second, third)
	}
}
