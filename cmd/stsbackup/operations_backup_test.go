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

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/env"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// amounts are quantities of CPU and memory.
func amounts(cpu, memory string) map[string]resource.Quantity {
	return map[string]resource.Quantity{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)}
}

// TestOperationsMover: everything that a policy says about movers reaches them, and wins over the flags.
func TestOperationsMover(t *testing.T) {
	s := volumeShell(t)
	s.env["STSBACKUP_REPO"] = "file://" + t.TempDir()
	s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = "key", "secret"
	for name, tt := range map[string]struct {
		flags                         moverFlags
		options                       policy.Backup
		cpu, memory, limitMemory, env string
	}{
		"defaults": {cpu: "100m", memory: "128Mi", limitMemory: "1Gi"},
		"flags": {
			flags: moverFlags{requests: amounts("1", "1Gi"), limits: amounts("0", "2Gi")},
			cpu:   "1", memory: "1Gi", limitMemory: "2Gi",
		},
		"policy": {
			options: policy.Backup{Requests: amounts("2", "3Gi"), Limits: amounts("0", "4Gi")},
			cpu:     "2", memory: "3Gi", limitMemory: "4Gi",
		},
		"policy first": {
			flags: moverFlags{
				requests: amounts("1", "1Gi"), limits: amounts("0", "2Gi"), env: env.Variables{}.With(map[string]string{"A": "flag", "TZ": "flag"}),
			},
			options: policy.Backup{Env: map[string]string{"TZ": "policy"}, Requests: amounts("2", "3Gi"), Limits: amounts("0", "4Gi")},
			cpu:     "2", memory: "3Gi", limitMemory: "4Gi", env: "A=flag TZ=policy",
		},
	} {
		t.Run(name, func(t *testing.T) {
			config, _ := s.operationsConfig(s.cluster(), tt.flags)
			root, err := config.Root()
			if err != nil {
				t.Fatal(err)
			}
			got, err := config.Mover(t.Context(), root, catalog.Name{Namespace: "demo", StatefulSet: "web"}, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			want := cluster.MoverConfig{
				Image: "stsbackup:test", Repo: "s3://bucket/root?endpoint=http%3A%2F%2F127.0.0.1%3A1&region=r",
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(tt.cpu), corev1.ResourceMemory: resource.MustParse(tt.memory)},
					Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(tt.limitMemory)},
				},
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(cluster.MoverConfig{}, "Files", "Sign", "Env")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var env []string
			for _, name := range slices.Sorted(maps.Keys(got.Env)) {
				if name != "AWS_SHARED_CREDENTIALS_FILE" {
					env = append(env, name+"="+got.Env[name])
				}
			}
			if strings.Join(env, " ") != tt.env {
				t.Errorf("environment %q, want %q", env, tt.env)
			}
			files, err := got.Files(t.Context())
			if names := slices.Sorted(maps.Keys(files.Content)); err != nil || !slices.Equal(names, []string{"credentials", "password"}) {
				t.Errorf("movers are given the files %q, %v", names, err)
			}
		})
	}
}

// TestOperationsVerifyReads: verify reads as much as the policy says, because some damage shows only when the data is
// read.
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
			continue // directories and the record, which verify always reads
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
