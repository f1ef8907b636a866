package cluster

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOwnImage(t *testing.T) {
	named := []corev1.EnvVar{{Name: "OTHER"}, {Name: "POD"}}
	injected := corev1.Container{Name: "proxy", Image: "proxy:1"}
	for name, tt := range map[string]struct {
		spec corev1.PodSpec
		want string // "" is an error
	}{
		"beside an injected container": {
			spec: corev1.PodSpec{Containers: []corev1.Container{injected, {Image: "stsbackup:1", Env: named}}}, want: "stsbackup:1",
		},
		"in an init container": {spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Image: "stsbackup:2", Env: named}}, Containers: []corev1.Container{injected},
		}, want: "stsbackup:2"},
		"nowhere": {spec: corev1.PodSpec{Containers: []corev1.Container{injected}}},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, _ := fakeCluster(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "me"}, Spec: tt.spec})
			got, err := c.OwnImage(t.Context(), "demo", "me", "POD")
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("image %q, error %v; want %q", got, err, tt.want)
			}
		})
	}
	c, _, _ := fakeCluster()
	// This is a fault of the setup, and says nothing about a StatefulSet.
	if _, err := c.OwnImage(t.Context(), "demo", "gone", "POD"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("the image of a pod that does not exist: %v", err)
	}
}
