package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/operations"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// operations are those of a scheduler with the environment of the shell; log is what it logs.
func (s *shell) operations(kubeconfig string) (o *operations.Operations, log *bytes.Buffer) {
	s.t.Helper()
	config, log := s.operationsConfig(kubeconfig, moverFlags{})
	return operations.New(config), log
}

// operationsConfig is what a scheduler works with that waits for nobody.
func (s *shell) operationsConfig(kubeconfig string, mover moverFlags) (config operations.Config, log *bytes.Buffer) {
	s.t.Helper()
	log = &bytes.Buffer{}
	a := &app{
		in: strings.NewReader(""), out: io.Discard, err: log, getenv: func(name string) string { return s.env[name] },
		now: s.now, random: rand.Reader, version: "test",
	}
	mover.repo = "s3://bucket/root?endpoint=http://127.0.0.1:1&region=r"
	config, err := operationsConfig(a, kubeFlags{kubeconfig: kubeconfig}, repoFlags{}, mover)
	if err != nil {
		s.t.Fatal(err)
	}
	config.BusyAfter = 0
	return config, log
}

func TestOperationsOnABucket(t *testing.T) {
	s := newKeeper(t)
	web, none := scheduler.Name{Namespace: "demo", StatefulSet: "web"}, scheduler.Name{Namespace: "demo", StatefulSet: "none"}
	o, _ := s.operations(s.cluster())
	points, err := o.Points(t.Context(), web)
	if err != nil || len(points) != len(s.ids) {
		t.Fatalf("%+v, %v", points, err)
	}
	if last := points[3]; last.ID != s.ids[3] || !last.Complete || !last.Started.Equal(s.now().Add(-4*time.Hour)) ||
		!last.Finished.After(last.Started) {
		t.Errorf("%+v", last)
	}
	removed, err := o.Forget(t.Context(), web, retention.Rules{Last: 2}, time.UTC)
	if err != nil || removed != 3 || len(s.left()) != 2 {
		t.Errorf("%d removed, %v; left %v", removed, err, s.left())
	}
	before := len(files(t, filepath.Join(s.root(), "demo/web/data")))
	if err := o.Prune(t.Context(), web); err != nil || len(files(t, filepath.Join(s.root(), "demo/web/data"))) >= before {
		t.Errorf("prune: %v", err)
	}
	if err := o.Verify(t.Context(), web, 1); err != nil {
		t.Error(err)
	}
	// What was never backed up has nothing, and that is no failure.
	points, err = o.Points(t.Context(), none)
	removed, forgetErr := o.Forget(t.Context(), none, retention.Rules{Last: 2}, time.UTC)
	if err := errors.Join(err, forgetErr, o.Prune(t.Context(), none), o.Verify(t.Context(), none, 0)); err != nil || len(points)+removed != 0 {
		t.Errorf("of none: %v, %d, %v", points, removed, err)
	}
	// A damaged lock is no damage to what has been saved.
	locks := filepath.Join(s.root(), "demo/web/locks")
	lock := filepath.Join(locks, strings.Repeat("0f", 32))
	if err := errors.Join(os.MkdirAll(locks, 0o700), os.WriteFile(lock, []byte("damaged"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := o.Verify(t.Context(), web, 0); err != nil {
		t.Errorf("verify beside a damaged lock: %v", err)
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	// Damage is a failure of verify.
	for name := range files(t, filepath.Join(s.root(), "demo/web/data")) {
		if err := os.WriteFile(filepath.Join(s.root(), "demo/web/data", name), []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Verify(t.Context(), web, 1); !errors.Is(err, scheduler.ErrDamaged) || !strings.Contains(err.Error(), "Run stsbackup repair") {
		t.Errorf("verify of what is damaged: %v", err)
	}
}

// TestOperationsOnALockedBucket says that somebody else is at work.
func TestOperationsOnALockedBucket(t *testing.T) {
	s := newKeeper(t)
	web := scheduler.Name{Namespace: "demo", StatefulSet: "web"}
	o, _ := s.operations(s.cluster())
	release := s.lockOf("ops-1", "")
	_, err := o.Forget(t.Context(), web, retention.Rules{Last: 2}, time.UTC)
	for what, err := range map[string]error{"forget": err, "prune": o.Prune(t.Context(), web)} {
		if !errors.Is(err, scheduler.ErrBusy) || !strings.Contains(err.Error(), "ops-1") {
			t.Errorf("%s: %v, want ErrBusy and by whom", what, err)
		}
	}
	release()
	if err := o.Prune(t.Context(), web); err != nil {
		t.Error(err)
	}
	// The lock of one who had the Lease is nobody's once the Lease is ours.
	s.lockOf("scheduler-0", cluster.Operation{ID: "20261121T120000Z-dead"}.LeaseMark("c"))
	if err := o.Prune(t.Context(), web); err != nil {
		t.Errorf("beside the lock of a dead prune: %v", err)
	}
	s.lockOf("scheduler-0", cluster.Operation{ID: "20261121T120000Z-dead"}.LeaseMark("another"))
	if err := o.Prune(t.Context(), web); !errors.Is(err, scheduler.ErrBusy) {
		t.Errorf("beside the lock of another cluster's prune: %v", err)
	}
}

// TestOperationsOfAnotherCluster remove nothing.
func TestOperationsOfAnotherCluster(t *testing.T) {
	s := newKeeper(t)
	web := scheduler.Name{Namespace: "demo", StatefulSet: "web"}
	o, _ := s.operations(apiServer(t, "another", nil))
	_, err := o.Forget(t.Context(), web, retention.Rules{Last: 1}, time.UTC)
	for what, err := range map[string]error{"forget": err, "prune": o.Prune(t.Context(), web)} {
		if !errors.Is(err, scheduler.ErrRefused) || !strings.Contains(err.Error(), "came from cluster c, this is cluster another") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(s.left()) != len(s.ids)+1 {
		t.Error("something was removed")
	}
}

// TestOperationsBackup sorts what can keep a backup from beginning.
func TestOperationsBackup(t *testing.T) {
	s := volumeShell(t)
	s.env["STSBACKUP_REPO"] = "file://" + t.TempDir()
	s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = "key", "very-secret"
	o, log := s.operations(s.cluster())
	options := policy.Backup{Method: "auto", Parallel: 2}
	for name, want := range map[string]struct {
		err  error
		says string
	}{
		"cache": {scheduler.ErrRefused, "it has no volumeClaimTemplates"},
		"none":  {scheduler.ErrGone, "StatefulSet demo/none"},
		"gone/": {scheduler.ErrGone, "namespace gone"},
	} {
		of := scheduler.Name{Namespace: "demo", StatefulSet: name}
		if namespace, isNamespace := strings.CutSuffix(name, "/"); isNamespace {
			of = scheduler.Name{Namespace: namespace, StatefulSet: "web"}
		}
		result, err := o.Backup(t.Context(), of, options)
		if !errors.Is(err, want.err) || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v, want %v that says %q", name, err, want.err, want.says)
		}
		if _, planned := result.Phases["plan"]; !planned || result.ID != "" {
			t.Errorf("%s: %+v", name, result)
		}
	}
	if text := log.String(); strings.Contains(text, "very-secret") {
		t.Errorf("the log shows a secret:\n%s", text)
	}
}

// TestIncompleteOfWhatIsGone: what was saved before it went can be used, and the scheduler need not try again.
func TestIncompleteOfWhatIsGone(t *testing.T) {
	record := catalog.Record{
		ID:          "20261121T204201Z-93ef",
		Namespace:   "demo",
		StatefulSet: "web",
		Volumes:     []catalog.Volume{{}, {Error: "its claim is gone"}},
	}
	const is = "recovery point 20261121T204201Z-93ef of demo/web is incomplete (1 of 2 volumes and 0 entries could not be saved)"
	gone := backup.Incomplete(&record, fmt.Errorf("namespace demo: %w", cluster.ErrNotFound))
	if want := is + ": namespace demo: not found; to restore what it holds, give its id"; gone.Error() != want {
		t.Errorf("%v, want %q", gone, want)
	}
	if code := exitCode(t.Context(), gone); code != exitIncomplete || !errors.Is(gone, cluster.ErrNotFound) {
		t.Errorf("exit code %d, %v", code, gone)
	}
	if err := backup.Incomplete(&record, nil); !strings.HasPrefix(err.Error(), is+"; to restore what it "+
		"holds") || errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("%v", err)
	}
}
