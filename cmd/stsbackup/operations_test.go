package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/operations"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// operations returns the operations of a scheduler with the environment of the shell; log is what it logs.
func (s *shell) operations(kubeconfig string) (o *operations.Operations, log *bytes.Buffer) {
	s.t.Helper()
	config, log := s.operationsConfig(kubeconfig, moverFlags{})
	return operations.New(config), log
}

// operationsConfig returns the configuration of a scheduler that waits for nobody.
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

// TestOperationsBackup classifies what can prevent a backup from starting.
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

// TestIncompleteOfWhatIsGone: what the backup saved before its StatefulSet vanished is usable, and the scheduler need
// not try again.
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
