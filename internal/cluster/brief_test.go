package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
)

// TestLeaseThatIsBriefIsWaitedFor: whoever removes data has the Lease for moments, and nobody is refused because of that.
func TestLeaseThatIsBriefIsWaitedFor(t *testing.T) {
	for name, tt := range map[string]struct {
		brief bool
		held  time.Duration
		want  error
		most  time.Duration
	}{
		"brief":               {true, 40 * time.Second, nil, 50 * time.Second},
		"not brief":           {false, 40 * time.Second, ErrBusy, 10 * time.Second},
		"not brief after all": {true, time.Hour, ErrBusy, leaseBriefMax + 10*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := fakeCluster()
				first, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "first", Brief: tt.brief})
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				end := time.AfterFunc(tt.held, func() { _ = first.Release(context.Background()) })
				second, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "second"})
				if took := time.Since(begun); !errors.Is(err, tt.want) || took > tt.most {
					t.Errorf("%v after %s, want %v", err, took, tt.want)
				}
				if end.Stop() {
					err = first.Release(t.Context())
				} else {
					err = second.Release(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestLeaseMark(t *testing.T) {
	mark := testOperation().LeaseMark("uid")
	for operation, want := range map[string]bool{
		mark: true, testOperation().LeaseMark("uid-2"): false, testOperation().ID: false, "": false,
	} {
		if got := LeaseMarked("uid", operation); got != want {
			t.Errorf("%q: %v", operation, got)
		}
	}
	if LeaseMarked("", testOperation().LeaseMark("")) {
		t.Error("a cluster without UID has marks")
	}
}

// TestGone says what was deleted, by its name.
func TestGone(t *testing.T) {
	now := metav1.Now()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "demo"}}
	going := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "demo", DeletionTimestamp: &now, Finalizers: []string{"f"}}}
	web := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web"}}
	dying := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web", DeletionTimestamp: &now, Finalizers: []string{"f"}},
	}
	for name, tt := range map[string]struct {
		objects   []runtime.Object
		forbidden string // verbs on namespaces
		says      string
	}{
		"all there":                 {[]runtime.Object{namespace, web}, "", ""},
		"no namespace":              {nil, "", "namespace demo: not found"},
		"the namespace is going":    {[]runtime.Object{going, web}, "", "namespace demo: not found: it is being deleted"},
		"no StatefulSet":            {[]runtime.Object{namespace}, "", "StatefulSet demo/web: not found"},
		"it is going":               {[]runtime.Object{namespace, dying}, "", "StatefulSet demo/web: not found: it is being deleted"},
		"namespaces are not read":   {[]runtime.Object{web}, "get list", ""},
		"listed, as it is deployed": {[]runtime.Object{going, web}, "get", "namespace demo: not found: it is being deleted"},
		"got, with its own rights":  {[]runtime.Object{going, web}, "list", "namespace demo: not found: it is being deleted"},
		"not there to be got":       {nil, "list", "namespace demo: not found"},
	} {
		t.Run(name, func(t *testing.T) {
			c, kube, _ := fakeCluster(tt.objects...)
			for _, verb := range strings.Fields(tt.forbidden) {
				kube.PrependReactor(verb, "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
					return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "namespaces"}, "demo", nil)
				})
			}
			err := c.Gone(t.Context(), "demo", "web")
			if (err != nil) != (tt.says != "") || err != nil && (err.Error() != tt.says || !errors.Is(err, ErrNotFound)) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}

// TestLeaseInANamespaceThatIsGone names the namespace, even if it is only being deleted.
func TestLeaseInANamespaceThatIsGone(t *testing.T) {
	terminating := apierrors.NewForbidden(schema.GroupResource{Resource: "leases"}, "stsbackup-web", errors.New("it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for want, answer := range map[string]error{
		"namespace demo: not found: it is being deleted": terminating,
		"namespace demo: not found":                      apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "demo"),
	} {
		c, kube, _ := fakeCluster()
		kube.PrependReactor("create", "leases", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, answer })
		if _, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{}); !errors.Is(err, ErrNotFound) ||
			!strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}
