package cluster

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8stesting "k8s.io/client-go/testing"
)

// TestReadWithoutTheRight: the error names what may not be read in the words that test/e2e expects for each
// missing rule of deploy/base. Commands can still see from the error that a right is missing.
func TestReadWithoutTheRight(t *testing.T) {
	c, kube, _ := fakeCluster()
	kube.PrependReactor("*", "*", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "", nil)
	})
	ctx := t.Context()
	failed := func(_ any, err error) error { return err }
	for says, err := range map[string]error{
		"list the claims":                   failed(c.Claims(ctx, "demo")),
		"list the pods":                     failed(c.Pods(ctx, "demo")),
		"list the HorizontalPodAutoscalers": failed(c.Autoscalers(ctx, "demo")),
		"list the ResourceQuotas":           failed(c.Quotas(ctx, "demo")),
		"list PersistentVolumes":            failed(c.Volumes(ctx)),
		"list StorageClasses":               failed(c.StorageClasses(ctx)),
		"read Service demo/web":             failed(c.Service(ctx, "demo", "web")),
		"read pod demo/web-0":               failed(c.Pod(ctx, "demo", "web-0")),
		"read node n1":                      failed(c.Node(ctx, "n1")),
		"read volume pv-0":                  failed(c.Volume(ctx, "pv-0")),
		"journal of a restore":              failed(c.Journal(ctx, Key{"demo", "web"})),
	} {
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want a missing right, and %q", err, says)
		}
	}
}
