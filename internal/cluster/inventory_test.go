package cluster

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// TestStatefulSetsInPages returns one StatefulSet per page, where an API server returns hundreds.
func TestStatefulSetsInPages(t *testing.T) {
	t.Parallel()
	kube := fake.NewClientset()
	kube.PrependReactor("list", "statefulsets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		options := action.(clienttesting.ListActionImpl).GetListOptions()
		pages := map[string]struct{ name, next string }{"": {"c", "1"}, "1": {"a", "2"}, "2": {"b", ""}}
		page := pages[options.Continue]
		list := &appsv1.StatefulSetList{ListMeta: metav1.ListMeta{Continue: page.next}}
		list.Items = []appsv1.StatefulSet{{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: page.name}}}
		return true, list, nil
	})
	sets, err := (&Client{Kube: kube}).StatefulSets(t.Context(), "")
	var names []string
	for _, set := range sets {
		names = append(names, set.Namespace+"/"+set.Name)
	}
	if diff := cmp.Diff([]string{"demo/a", "demo/b", "demo/c"}, names); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestNamespaceLabels(t *testing.T) {
	t.Parallel()
	kube := fake.NewClientset(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod", Labels: map[string]string{"tier": "gold"}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "dev"}},
	)
	got, err := (&Client{Kube: kube}).NamespaceLabels(t.Context())
	if diff := cmp.Diff(map[string]map[string]string{"prod": {"tier": "gold"}, "dev": nil}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	broken := errors.New("broken")
	kube.PrependReactor("list", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, fmt.Errorf("%s: %w", action.GetResource().Resource, broken)
	})
	if _, err := (&Client{Kube: kube}).NamespaceLabels(t.Context()); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if _, err := (&Client{Kube: kube}).StatefulSets(t.Context(), ""); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}
