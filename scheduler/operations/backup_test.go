package operations

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/internal/mover/resources"
	"github.com/stsbackup/stsbackup/internal/mover/setup"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// amounts are amounts of resources, as the flags take them.
func amounts(text string) resources.Amounts {
	var a resources.Amounts
	_ = a.Set(text) // the comparison later catches an error
	return a
}

// TestBackup: what a policy says about backups reaches the engine, and what the engine reports reaches metrics and log.
func TestBackup(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	root := location.NewRoot("s3://bucket", storagetest.NewMemory(), repository.Secret("root"))
	var log strings.Builder
	var got backup.Request
	o := New(Config{
		Root: func() (*location.Root, error) { return root, nil }, Now: func() time.Time { return clock },
		Movers:  setup.Options{Image: "mover", Repo: "file:///of-movers", Requests: amounts("cpu=1,memory=1Gi"), Limits: amounts("memory=2Gi")},
		Process: setup.Process{Getenv: func(string) string { return "" }, Version: "v1"},
		Holder:  "me", Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	o.backUp = func(_ context.Context, maker *backup.Maker, request backup.Request) (*catalog.Record, error) {
		got = request
		maker.Reporter.Phase("plan")
		clock = clock.Add(time.Second)
		maker.Reporter.Phase("move")
		clock = clock.Add(time.Minute)
		maker.Reporter.Note("all is well")
		maker.Reporter.Warn("or is it")
		if maker.Root != root {
			t.Error("it is made in another root")
		}
		return &catalog.Record{ID: "made", State: catalog.StateIncomplete, Volumes: []catalog.Volume{{Bytes: 5}}}, cluster.ErrNotFound
	}
	web := scheduler.Name{Namespace: "demo", StatefulSet: "web"}
	options := policy.Backup{
		Method: "live", Parallel: 3, Env: map[string]string{"TZ": "UTC"}, Requests: amounts("cpu=2"), Limits: amounts("memory=4Gi"),
	}
	result, err := o.Backup(t.Context(), web, options)
	if !errors.Is(err, scheduler.ErrGone) || result.ID != "made" || result.Complete || result.BytesRead != 5 {
		t.Errorf("%+v, %v", result, err)
	}
	if diff := cmp.Diff(map[string]time.Duration{"plan": time.Second, "move": time.Minute}, result.Phases); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	want := backup.Request{
		Namespace: "demo", StatefulSet: "web", Holder: "me", Tool: "v1",
		Capture: capture.Options{Method: method.Live}, Parallel: 3, RetryLock: 5 * time.Minute,
		SnapshotTimeout: 2 * time.Minute, SnapshotReadyTimeout: 4 * time.Hour, StepsAside: true,
		Mover: cluster.MoverConfig{
			Image: "mover", Repo: "file:///of-movers", Env: map[string]string{"TZ": "UTC"},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("1Gi")},
				Limits:   corev1.ResourceList{"memory": resource.MustParse("4Gi")},
			},
		},
	}
	ours := cmpopts.IgnoreFields(cluster.MoverConfig{}, "Files", "Sign")
	if diff := cmp.Diff(want, got, ours); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	options.SnapshotReadyTimeout, want.SnapshotReadyTimeout = time.Minute, time.Minute
	if _, err := o.Backup(t.Context(), web, options); !errors.Is(err, scheduler.ErrGone) || cmp.Diff(want, got, ours) != "" {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got, ours))
	}
	for _, line := range []string{`level=INFO msg="all is well" namespace=demo statefulSet=web`, `level=WARN msg="or is it" namespace=demo`} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log does not say %s:\n%s", line, &log)
		}
	}
}

// TestResultOf adds up the numbers of the volumes.
func TestResultOf(t *testing.T) {
	begun, phases := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), map[string]time.Duration{"move": time.Minute}
	record := &catalog.Record{
		ID: "20261121T080000Z-3fa9", State: catalog.StateComplete, Started: begun, Finished: begun.Add(time.Hour),
		Volumes: []catalog.Volume{{Bytes: 100, Stored: 10}, {Bytes: 2000, Stored: 200}, {Bytes: 30000, Stored: 3000}},
	}
	point := scheduler.Point{ID: string(record.ID), Started: begun, Finished: begun.Add(time.Hour), Complete: true}
	for _, tt := range []struct {
		record *catalog.Record
		want   scheduler.Result
	}{
		{record, scheduler.Result{Point: point, Phases: phases, BytesRead: 32100, BytesStored: 3210}},
		{nil, scheduler.Result{Phases: phases}},
	} {
		if diff := cmp.Diff(tt.want, resultOf(tt.record, phases)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
