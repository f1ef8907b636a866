package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/retention"
)

// addHeldLease serves the Lease of demo/web with a live holder: each time somebody lists all Leases, it has been
// renewed.
func addHeldLease(mux *http.ServeMux, holder string) {
	const collection = "/apis/coordination.k8s.io/v1/namespaces/demo/leases"
	begun := time.Date(2026, 11, 21, 11, 59, 0, 0, time.UTC)
	lease := func(renewed time.Time) coordinationv1.Lease {
		return coordinationv1.Lease{
			TypeMeta:   metav1.TypeMeta{Kind: "Lease", APIVersion: "coordination.k8s.io/v1"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: cluster.LeaseName("web"), UID: "lease", ResourceVersion: "1"},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity:       &holder,
				RenewTime:            &metav1.MicroTime{Time: renewed},
				LeaseDurationSeconds: new(int32(30)),
			},
		}
	}
	mux.HandleFunc("POST "+collection, func(w http.ResponseWriter, _ *http.Request) {
		reply(
			w,
			http.StatusConflict,
			metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonAlreadyExists, Code: http.StatusConflict},
		)
	})
	mux.HandleFunc("GET "+collection+"/{name}", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, lease(begun)) })
	mux.HandleFunc("GET "+collection, func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, coordinationv1.LeaseList{
			TypeMeta: metav1.TypeMeta{
				Kind:       "LeaseList",
				APIVersion: "coordination.k8s.io/v1",
			},
			Items: []coordinationv1.Lease{lease(begun.Add(10 * time.Second))},
		})
	})
}

// addVolume serves the only volume of demo/web.
func addVolume(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/namespaces/demo/persistentvolumeclaims", func(w http.ResponseWriter, _ *http.Request) {
		claim := corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "www-web-0"},
			Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv"},
		}
		reply(w, http.StatusOK, corev1.PersistentVolumeClaimList{
			TypeMeta: metav1.TypeMeta{Kind: "PersistentVolumeClaimList", APIVersion: "v1"}, Items: []corev1.PersistentVolumeClaim{claim},
		})
	})
	mux.HandleFunc("GET /api/v1/persistentvolumes/pv", func(w http.ResponseWriter, _ *http.Request) {
		reply(
			w,
			http.StatusOK,
			corev1.PersistentVolume{
				TypeMeta:   metav1.TypeMeta{Kind: "PersistentVolume", APIVersion: "v1"},
				ObjectMeta: metav1.ObjectMeta{Name: "pv"},
			},
		)
	})
	mux.HandleFunc("GET /apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses", func(w http.ResponseWriter, _ *http.Request) {
		reply(
			w,
			http.StatusOK,
			snapshotv1.VolumeSnapshotClassList{TypeMeta: metav1.TypeMeta{Kind: "VolumeSnapshotClassList", APIVersion: "snapshot.storage.k8s.io/v1"}},
		)
	})
}

// TestOperationsOnAHeldLease: a person at a terminal, or another scheduler, works on the StatefulSet. That is no
// failure, and the operations do nothing.
func TestOperationsOnAHeldLease(t *testing.T) {
	s := newKeeper(t)
	s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = "key", "secret"
	mux := clusterOf(appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web"},
		Spec: appsv1.StatefulSetSpec{
			Replicas:             new(int32(1)),
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "www"}}},
		},
	})
	addHeldLease(mux, "backup 20261121T115900Z-3fa9 by ops-1")
	addVolume(mux)
	o, _ := s.operations(kubeconfig(t, mux))
	before := files(t, s.root())
	web := scheduler.Name{Namespace: "demo", StatefulSet: "web"}
	result, backupErr := o.Backup(t.Context(), web, policy.Backup{Method: "live", Parallel: 1})
	_, forgetErr := o.Forget(t.Context(), web, retention.Rules{Last: 1}, time.UTC)
	for what, err := range map[string]error{"backup": backupErr, "forget": forgetErr, "prune": o.Prune(t.Context(), web)} {
		if !errors.Is(err, scheduler.ErrBusy) || !strings.Contains(err.Error(), "ops-1") {
			t.Errorf("%s: %v, want ErrBusy and by whom", what, err)
		}
	}
	if result.ID != "" {
		t.Errorf("%+v", result)
	}
	if after := files(t, s.root()); len(after) != len(before) {
		t.Errorf("%d objects in the bucket, there were %d", len(after), len(before))
	}
}
