package backup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestMakeRefusesFormat1: if nothing can be added to a repository, the backup refuses with the command that
// helps, before it makes anything in the cluster. So does the dry run.
func TestMakeRefusesFormat1(t *testing.T) {
	root := t.TempDir()
	place, secret := filepath.Join(root, "demo", "web"), repository.Secret("root password")
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "restic", "--no-cache", "-q", "-r", place, "init", "--repository-version", "1")
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+catalog.Password(secret, "demo", "web").Reveal())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("restic init: %v\n%s", err, out)
	}
	bucket, err := local.Open(local.Config{Dir: root})
	if err != nil {
		t.Fatal(err)
	}
	for _, dryRun := range []bool{false, true} {
		t.Run(fmt.Sprintf("dry run %t", dryRun), func(t *testing.T) {
			s := newMoverStage(t)
			maker := &Maker{
				Cluster: s.engine.Cluster, Root: location.NewRoot("file://"+root, bucket, secret), Now: time.Now,
				Random: strings.NewReader("????"), Reporter: s,
			}
			record, err := maker.Make(t.Context(), Request{
				Namespace: "demo", StatefulSet: "web", Capture: capture.Options{Method: method.Auto}, Holder: "test", DryRun: dryRun,
				SnapshotTimeout: time.Minute, SnapshotReadyTimeout: time.Minute, Mover: cluster.MoverConfig{Image: "stsbackup:test"},
			})
			if record != nil || err == nil {
				t.Fatalf("record %+v, error %v", record, err)
			}
			for _, part := range []string{"repository format version 1", "restic migrate upgrade_repo_v2"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			for _, action := range slices.Concat(s.kube.Actions(), s.snapshots.Actions()) {
				create, isCreate := action.(clienttesting.CreateActionImpl)
				dry := isCreate && len(create.CreateOptions.DryRun) > 0
				if verb := action.GetVerb(); verb != "get" && verb != "list" && !dry {
					t.Errorf("did %s %s", verb, action.GetResource().Resource)
				}
			}
			if s.cut() {
				t.Errorf("volumes were cut: %q", s.did)
			}
		})
	}
}
