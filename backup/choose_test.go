package backup

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// A StatefulSet that its owner has excepted is passed over for that reason, whatever else may apply.
func TestChoose(t *testing.T) {
	t.Parallel()
	set := func(name string, templates int, replicas int32) *appsv1.StatefulSet {
		set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name}}
		set.Spec.Replicas, set.Spec.VolumeClaimTemplates = &replicas, make([]corev1.PersistentVolumeClaim, templates)
		return set
	}
	except := func(set *appsv1.StatefulSet) string {
		if set.Name == "private" {
			return "its owner says so"
		}
		return ""
	}
	chosen, passed := Choose([]*appsv1.StatefulSet{
		set("web", 1, 3), set("private", 0, 0), set("cache", 0, 2), set("idle", 1, 0), set("db", 2, 1),
	}, except)
	if want := []catalog.Name{{Namespace: "demo", StatefulSet: "web"}, {Namespace: "demo", StatefulSet: "db"}}; !slices.Equal(chosen, want) {
		t.Errorf("chosen are %v, want %v", chosen, want)
	}
	want := []PassedOver{
		{catalog.Name{Namespace: "demo", StatefulSet: "private"}, "its owner says so"},
		{catalog.Name{Namespace: "demo", StatefulSet: "cache"}, "it has no volumeClaimTemplates"},
		{catalog.Name{Namespace: "demo", StatefulSet: "idle"}, "it is scaled to 0 replicas"},
	}
	if !slices.Equal(passed, want) {
		t.Errorf("passed over are %v, want %v", passed, want)
	}
}
