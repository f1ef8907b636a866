package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestBackupPrintsAllRefusals: if several things prevent a backup, each gets a line with what to do about it, and the
// exit code is that of one of them.
func TestBackupPrintsAllRefusals(t *testing.T) {
	s := volumeShell(t)
	mux := clusterOf(appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: new(int32(2)), VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}},
		},
	})
	addLeases(mux)
	mux.HandleFunc("GET /api/v1/namespaces/demo/persistentvolumeclaims", func(w http.ResponseWriter, _ *http.Request) {
		list := corev1.PersistentVolumeClaimList{TypeMeta: metav1.TypeMeta{Kind: "PersistentVolumeClaimList", APIVersion: "v1"}}
		for ordinal := range 2 {
			list.Items = append(list.Items, corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: fmt.Sprintf("data-web-%d", ordinal)},
				Spec: corev1.PersistentVolumeClaimSpec{
					VolumeName: fmt.Sprintf("pv-%d", ordinal), VolumeMode: new(corev1.PersistentVolumeBlock),
				},
			})
		}
		reply(w, http.StatusOK, list)
	})
	mux.HandleFunc("GET /api/v1/persistentvolumes/{name}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, corev1.PersistentVolume{
			TypeMeta: metav1.TypeMeta{Kind: "PersistentVolume", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: r.PathValue("name")},
		})
	})
	s.env["STSBACKUP_REPO"] = "file://" + t.TempDir()
	s.env["STSBACKUP_MOVER_REPO"], s.env["STSBACKUP_IMAGE"] = "s3://bucket/root?endpoint=http://127.0.0.1:1&region=r", "stsbackup:test"
	s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = "key", "secret"
	for _, more := range [][]string{nil, {"--dry-run"}} {
		s.run(exitRefused, append([]string{"backup", "demo/web", "--kubeconfig", kubeconfig(t, mux), "--snapshot-class", "slow"}, more...)...)
		lines := strings.Split(strings.TrimSpace(s.err.String()), "\n")
		for _, want := range []string{
			"StatefulSet demo/web: the cluster has no VolumeSnapshotClass called slow; leave --snapshot-class out",
			"claim demo/data-web-0: it is a raw block device (volumeMode Block)",
			"claim demo/data-web-1: it is a raw block device (volumeMode Block)",
		} {
			found := 0
			for _, line := range lines {
				if strings.Contains(line, want) {
					found++
				}
			}
			if found != 1 {
				t.Errorf("%d lines say %q:\n%s", found, want, s.err.String())
			}
		}
	}
}
