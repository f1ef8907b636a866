package main

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// TestOptedOut: commands that choose by labels, or take all, leave alone a StatefulSet with the annotation policy=none,
// and say so; they do not leave it alone if it is named.
func TestOptedOut(t *testing.T) {
	s := newKeeper(t)
	one := int32(1)
	web := appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "demo", Name: "web", Labels: map[string]string{"tier": "web"}, Annotations: map[string]string{policy.Annotation: policy.None},
		},
		Spec: appsv1.StatefulSetSpec{
			Replicas:             &one,
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "www"}}},
		},
	}
	cluster := s.cluster(web)
	s.env["STSBACKUP_MOVER_REPO"] = "s3://bucket/root?endpoint=http://127.0.0.1:1&region=r"
	s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = "key", "secret"
	const said = "demo/web is skipped: its annotation stsbackup.io/policy=none says so"
	for _, args := range [][]string{
		{"backup", "--all", "-n", "demo"},
		{"backup", "-l", "tier=web", "-A"},
		{"forget", "-l", "tier=web", "-A", "--keep-last", "1"},
	} {
		s.run(exitNotFound, append(args, "--kubeconfig", cluster)...)
		s.says(said)
	}
	if left := len(s.left()); left != len(s.ids)+1 {
		t.Errorf("%d recovery points are left", left)
	}
	// The backup is refused for another reason: none of its claims exists.
	s.run(exitRefused, "backup", "demo/web", "--kubeconfig", cluster)
	s.says("none of its claims has a volume")
	s.run(exitDone, "forget", "demo/web", "--keep-last", "1", "--kubeconfig", cluster)
	s.run(exitDone, "verify", "-l", "tier=web", "-n", "demo", "--kubeconfig", cluster)
}
