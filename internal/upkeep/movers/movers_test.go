package movers

import (
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/repository"
)

const mover = "stsbackup-20261121t081200z-3fa9-0-www-x7k2p"

// mark is what the lock of a mover in this cluster and namespace says.
func mark(uid, namespace string) string {
	return cluster.Operation{ID: "20261121T081200Z-3fa9", Namespace: namespace, StatefulSet: "web"}.MoverMark(uid)
}

// pod is the mover's.
func pod(namespace string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: mover}, Status: corev1.PodStatus{Phase: phase}}
}

// TestEnded: what its own cluster knows about a mover's pod decides, and what another cluster knows does not count.
func TestEnded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		operation string
		host      string
		pods      []runtime.Object
		forbidden bool
		ended     bool
	}{
		"the pod is gone":     {operation: mark("c", "demo"), host: mover, ended: true},
		"the pod has failed":  {operation: mark("c", "demo"), host: mover, pods: []runtime.Object{pod("demo", corev1.PodFailed)}, ended: true},
		"the pod runs":        {operation: mark("c", "demo"), host: mover, pods: []runtime.Object{pod("demo", corev1.PodRunning)}},
		"of another name":     {operation: mark("c", "demo2"), host: mover, pods: []runtime.Object{pod("demo", corev1.PodRunning)}, ended: true},
		"of another, running": {operation: mark("c", "demo2"), host: mover, pods: []runtime.Object{pod("demo2", corev1.PodRunning)}},
		"it may not be known": {operation: mark("c", "demo"), host: mover, forbidden: true},
		"of another cluster":  {operation: mark("other", "demo"), host: mover},
		"of no mover":         {operation: "", host: mover},
		"of a person":         {operation: mark("c", "demo"), host: "ops-1"},
	} {
		objects := append([]runtime.Object{
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem, UID: "c"}},
		}, tt.pods...)
		kube := fake.NewClientset(objects...)
		if tt.forbidden {
			kube.PrependReactor("get", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, mover, nil)
			})
		}
		holders := []repository.Holder{{Host: tt.host, Operation: tt.operation}, {Host: "someone"}}
		c := Cluster{Connect: func() (*cluster.Client, error) { return &cluster.Client{Kube: kube}, nil }}
		ended, err := c.Ended(t.Context(), holders)
		if tt.ended != slices.Equal(ended, holders[:1]) || !tt.ended && len(ended) > 0 || (err != nil) != tt.forbidden {
			t.Errorf("%s: %v, %v", name, ended, err)
		}
	}
}

// TestClusterIsAskedOnlyOfMovers: if no lock is a mover's, the cluster may be gone.
func TestClusterIsAskedOnlyOfMovers(t *testing.T) {
	t.Parallel()
	away := errors.New("no cluster")
	c := Cluster{Connect: func() (*cluster.Client, error) { return nil, away }}
	if ended, err := c.Ended(t.Context(), []repository.Holder{{Host: "ops-1", Operation: "prune"}}); err != nil || len(ended) != 0 {
		t.Errorf("of a person: %v, %v", ended, err)
	}
	if _, err := c.Ended(t.Context(), []repository.Holder{{Host: mover, Operation: mark("c", "demo")}}); !errors.Is(err, away) {
		t.Errorf("of a mover: %v", err)
	}
}
