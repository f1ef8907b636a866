package main

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/env"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// amounts are of processor time and memory.
func amounts(cpu, memory string) map[string]resource.Quantity {
	return map[string]resource.Quantity{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)}
}

// TestOperationsRequest: all that a policy says of backups reaches the engine.
func TestOperationsRequest(t *testing.T) {
	s := volumeShell(t)
	s.env["STSBACKUP_REPO"] = "file://" + t.TempDir()
	s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = "key", "secret"
	for name, tt := range map[string]struct {
		flags                    moverFlags
		options                  policy.Backup
		method                   backup.Method
		parallel                 int
		cpu, memory, limitMemory string
		env                      string
	}{
		"defaults":     {options: policy.Backup{Method: "auto", Parallel: 1}, method: backup.MethodAuto, parallel: 1, cpu: "100m", memory: "128Mi", limitMemory: "1Gi"},
		"flags":        {flags: moverFlags{requests: amounts("1", "1Gi"), limits: amounts("0", "2Gi")}, options: policy.Backup{Method: "live", Parallel: 2}, method: backup.MethodLive, parallel: 2, cpu: "1", memory: "1Gi", limitMemory: "2Gi"},
		"policy":       {options: policy.Backup{Method: "snapshot", Parallel: 3, Requests: amounts("2", "3Gi"), Limits: amounts("0", "4Gi")}, method: backup.MethodSnapshot, parallel: 3, cpu: "2", memory: "3Gi", limitMemory: "4Gi"},
		"policy first": {flags: moverFlags{requests: amounts("1", "1Gi"), limits: amounts("0", "2Gi"), env: env.Variables{}.With(map[string]string{"A": "flag", "TZ": "flag"})}, options: policy.Backup{Method: "auto", Parallel: 4, Env: map[string]string{"TZ": "policy"}, Requests: amounts("2", "3Gi"), Limits: amounts("0", "4Gi")}, method: backup.MethodAuto, parallel: 4, cpu: "2", memory: "3Gi", limitMemory: "4Gi", env: "A=flag TZ=policy"},
	} {
		t.Run(name, func(t *testing.T) {
			made, _ := s.operations(s.cluster())
			o := made.(*operations)
			tt.flags.repo = o.mover.repo
			o.mover = tt.flags
			store, err := openStore(o.app, &o.repo)
			if err != nil {
				t.Fatal(err)
			}
			got, err := o.request(
				t.Context(),
				scene{target: target{namespace: "demo", statefulSet: "web"}, store: store, client: o.client},
				tt.options,
			)
			if err != nil {
				t.Fatal(err)
			}
			want := backup.Request{
				Plan: backup.PlanOptions{
					Method: tt.method,
				},
				Parallel:             tt.parallel,
				RetryLock:            5 * time.Minute,
				SnapshotTimeout:      2 * time.Minute,
				SnapshotReadyTimeout: 4 * time.Hour,
				StepsAside:           true,
				Mover: cluster.MoverConfig{
					Image: "stsbackup:test", Repo: "s3://bucket/root?endpoint=http%3A%2F%2F127.0.0.1%3A1&region=r",
					Resources: corev1.ResourceRequirements{
						Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(tt.cpu), corev1.ResourceMemory: resource.MustParse(tt.memory)},
						Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(tt.limitMemory)},
					},
				},
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(cluster.MoverConfig{}, "Files", "Sign", "Env")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var env []string
			for _, name := range slices.Sorted(maps.Keys(got.Mover.Env)) {
				if name != "AWS_SHARED_CREDENTIALS_FILE" {
					env = append(env, name+"="+got.Mover.Env[name])
				}
			}
			if strings.Join(env, " ") != tt.env {
				t.Errorf("environment %q, want %q", env, tt.env)
			}
			files, err := got.Mover.Files(t.Context())
			if names := slices.Sorted(maps.Keys(files.Content)); err != nil || !slices.Equal(names, []string{"credentials", "password"}) {
				t.Errorf("movers are given the files %q, %v", names, err)
			}
		})
	}
}

// TestResultOf adds up what the volumes say.
func TestResultOf(t *testing.T) {
	begun, phases := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), map[string]time.Duration{"move": time.Minute}
	record := &catalog.Record{
		ID: "20261121T080000Z-3fa9", State: catalog.StateComplete, Started: begun, Finished: begun.Add(time.Hour),
		Volumes: []catalog.Volume{{Bytes: 100, Stored: 10}, {Bytes: 2000, Stored: 200}, {Bytes: 30000, Stored: 3000}},
	}
	point := scheduler.Point{ID: record.ID, Started: begun, Finished: begun.Add(time.Hour), Complete: true}
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

// TestOperationsForgetInZone: on the days of Greenwich two others would be left.
func TestOperationsForgetInZone(t *testing.T) {
	s := newKeeper(t)
	o, _ := s.operations(s.cluster())
	// At 7:00 of the 21st it is still the 20th there.
	removed, err := o.Forget(
		t.Context(),
		scheduler.Name{Namespace: "demo", StatefulSet: "web"},
		retention.Rules{Daily: 2},
		time.FixedZone("west", -8*60*60),
	)
	if err != nil || removed != 3 {
		t.Errorf("%d removed, %v", removed, err)
	}
	if diff := cmp.Diff([]string{s.ids[2], s.ids[3]}, s.left()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// TestOperationsVerifyReads as much as it is told to: there is damage that is seen only where data is read.
func TestOperationsVerifyReads(t *testing.T) {
	s := volumeShell(t)
	dir := site(t)
	noise := make([]byte, 100_000)
	if _, err := rand.NewChaCha8([32]byte{}).Read(noise); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "noise"), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	s.point(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "0001", dir)
	for name, text := range files(t, filepath.Join(s.root(), "demo/web/data")) {
		if len(text) < len(noise) {
			continue // directories and the record, which are always read
		}
		pack := []byte(text)
		pack[len(noise)/2] ^= 1
		if err := os.WriteFile(filepath.Join(s.root(), "demo/web/data", name), pack, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, _ := s.operations(s.cluster())
	web := scheduler.Name{Namespace: "demo", StatefulSet: "web"}
	if err := o.Verify(t.Context(), web, 0); err != nil {
		t.Errorf("without reading: %v", err)
	}
	if err := o.Verify(t.Context(), web, 1); err == nil {
		t.Error("what was read is damaged, and nothing is said")
	}
}
