package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/operations"
)

// operations returns the operations of a scheduler of this cluster.
func (c *displacedCluster) operations(t *testing.T) *operations.Operations {
	t.Helper()
	s := volumeShell(t)
	s.env["STSBACKUP_REPO"] = "file://" + t.TempDir()
	o, _ := s.operations(c.kubeconfig)
	return o
}

// TestOperationsDisplaced: one request returns the volumes of all StatefulSets.
func TestOperationsDisplaced(t *testing.T) {
	c := newDisplacedCluster(t)
	o := c.operations(t)
	first := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	all := map[scheduler.Name]scheduler.Displaced{
		{Namespace: "demo", StatefulSet: "web"}:    {Volumes: 3, Bytes: 3 << 30, Oldest: first},
		{Namespace: "other", StatefulSet: "queue"}: {Volumes: 1, Bytes: 1 << 30, Oldest: first},
		{Namespace: "gone", StatefulSet: "old"}:    {Volumes: 1, Bytes: 1 << 30, Oldest: first},
	}
	of, err := o.Displaced(t.Context())
	if diff := cmp.Diff(all, of); diff != "" || err != nil || c.listed != 1 {
		t.Errorf("%v, %d requests (-want +got):\n%s", err, c.listed, diff)
	}
	o.Namespace = "other"
	if of, err = o.Displaced(t.Context()); err != nil || len(of) != 1 {
		t.Errorf("of one namespace: %+v, %v", of, err)
	}
}

// TestOperationsDiscard frees what is old enough, of a StatefulSet that is Ready.
func TestOperationsDiscard(t *testing.T) {
	ready := appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "queue"}, Spec: appsv1.StatefulSetSpec{Replicas: new(int32(2))},
		Status: appsv1.StatefulSetStatus{ReadyReplicas: 2},
	}
	for what, tt := range map[string]struct {
		set    func(*appsv1.StatefulSet)
		change func(*displacedCluster)
		of     scheduler.Name
		err    error
		says   string
	}{
		"Ready":   {},
		"of none": {of: scheduler.Name{Namespace: "demo", StatefulSet: "none"}, err: scheduler.ErrGone},
		"a pod is not": {
			set: func(s *appsv1.StatefulSet) { s.Status.ReadyReplicas = 1 }, err: scheduler.ErrNotReady, says: "1 of 2 pods are Ready",
		},
		"0 replicas": {
			set: func(s *appsv1.StatefulSet) { s.Spec.Replicas = new(int32(0)) }, err: scheduler.ErrNotReady, says: "0 replicas",
		},
		"a change is new": {set: func(s *appsv1.StatefulSet) { s.Generation = 2 }, err: scheduler.ErrNotReady, says: "last change"},
		"a restore goes on": {
			change: func(c *displacedCluster) { c.journals["other/"+cluster.JournalName("queue")] = true }, err: scheduler.ErrRefused,
			says: "has not ended",
		},
		"nothing old enough": {change: func(c *displacedCluster) { delete(c.volumes, "pv-queue-0-3") }},
	} {
		t.Run(what, func(t *testing.T) {
			set := *ready.DeepCopy()
			if tt.set != nil {
				tt.set(&set)
			}
			c := newDisplacedCluster(t, set)
			if tt.change != nil {
				tt.change(c)
			}
			o := c.operations(t)
			of := tt.of
			if of == (scheduler.Name{}) {
				of = scheduler.Name{Namespace: "other", StatefulSet: "queue"}
			}
			before := c.left()
			freed, err := o.Discard(t.Context(), of, time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC))
			if !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %v and that %s", err, tt.err, tt.says)
			}
			want := before
			if what == "Ready" {
				want = strings.Replace(before, "pv-queue-0-3 ", "", 1)
				if len(freed.Volumes) != 1 || freed.Volumes[0] != "pv-queue-0-3" || freed.Bytes != 1<<30 {
					t.Errorf("%+v", freed)
				}
			} else if len(freed.Volumes) > 0 {
				t.Errorf("freed %+v", freed)
			}
			if c.left() != want {
				t.Errorf("left %s, want %s", c.left(), want)
			}
		})
	}
}
