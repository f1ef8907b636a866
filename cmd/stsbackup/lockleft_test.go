package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// keepLocks keeps every lock that the repository of demo/web has whenever a command writes output: it mounts something
// on the lock, so the command cannot remove it.
func (s *shell) keepLocks() (release func()) {
	s.t.Helper()
	kept := map[string]bool{}
	s.onOutput = func() {
		locks, _ := filepath.Glob(filepath.Join(s.root(), "demo/web/locks/*"))
		for _, lock := range locks {
			if !kept[lock] && unix.Mount(lock, lock, "", unix.MS_BIND, "") == nil {
				kept[lock] = true
			}
		}
	}
	release = func() {
		s.t.Helper()
		s.onOutput = nil
		if len(kept) == 0 {
			s.t.Error("no lock was kept: this test needs root's rights to mount")
		}
		for lock := range kept {
			if err := unix.Unmount(lock, unix.MNT_DETACH); err != nil {
				s.t.Errorf("unmount %s: %v", lock, err)
			}
		}
		clear(kept)
	}
	return release
}

// TestVolumeIsDoneThoughItsLockStays: the exit code is 0, the output tells people and engines about the lock, and the
// lock does not block the next command.
func TestVolumeIsDoneThoughItsLockStays(t *testing.T) {
	const stays = "stays, and keeps everyone else from removing data from the repository until 20"
	s := savedVolume(t)
	source, dir := site(t), t.TempDir()
	for _, command := range [][]string{
		{"volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0"},
		{"volume", "restore", "demo/web", dir, "--claim", "www-web-0", "--replace"},
	} {
		release := s.keepLocks()
		s.run(exitDone, command...)
		s.says("warning: ", stays, "stsbackup unlock")

		file := filepath.Join(t.TempDir(), "termination-log")
		s.run(exitDone, append(command, "--result-file", file)...)
		var result archive.Result
		decode(t, read(t, file), &result)
		if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], stays) || len(result.RepositorySnapshot) != 64 {
			t.Errorf("%v: %+v", command, result)
		}
		release()
		s.run(exitDone, command...)
		if text := s.err.String(); strings.Contains(text, "warning") {
			t.Errorf("%v: %s", command, text)
		}
	}
}

// lockStays returns the bucket of a shell, in which removing the first lock fails.
func (s *shell) lockStays() *storagetest.Faulty {
	s.t.Helper()
	bucket, err := local.Open(local.Config{Dir: s.root()})
	if err != nil {
		s.t.Fatal(err)
	}
	return storagetest.NewFaulty(bucket, storagetest.Fault{At: 1, Match: func(op storagetest.Operation) bool {
		return op.Verb == storagetest.Delete && strings.HasPrefix(op.Name, "demo/web/locks/")
	}})
}

// noteReporter collects notes and warnings.
type noteReporter struct {
	report.Silent
	note func(string)
}

func (r noteReporter) Note(text string) { r.note(text) }
func (r noteReporter) Warn(text string) { r.note("warning: " + text) }

// TestUpkeepIsDoneThoughItsLockStays: commands that remove data, or write a record, report the lock where they report
// everything else.
func TestUpkeepIsDoneThoughItsLockStays(t *testing.T) {
	s := newKeeper(t)
	web := target{namespace: "demo", statefulSet: "web"}
	var told []string
	note := func(text string) { told = append(told, text) }
	open := func() (*location.Root, *storagetest.Faulty) {
		bucket := s.lockStays()
		return location.NewRoot("", bucket, repository.Secret(s.env["STSBACKUP_PASSWORD"])), bucket
	}
	for what, do := range map[string]func(*location.Root) error{
		"forget": func(at *location.Root) error {
			u := &upkeep.Upkeep{Repositories: at, Now: s.now, Note: note}
			_, err := u.Forget(t.Context(), upkeep.ForgetRequest{StatefulSet: web.name(), IDs: s.ids[:1]})
			return err
		},
		"backup": func(at *location.Root) error {
			maker := backup.Maker{Root: at, Reporter: noteReporter{note: note}}
			points, err := maker.Repositories(backup.Request{Namespace: web.namespace, StatefulSet: web.statefulSet}).Open(t.Context())
			if err != nil {
				return err
			}
			records, err := points.List(t.Context())
			if err != nil {
				return err
			}
			record := records[len(records)-1]
			record.ID = "20261121T115959Z-ffff"
			record.Volumes[0].RepositorySnapshot, record.Volumes[0].Error = "", "the mover failed"
			record.State = catalog.StateIncomplete
			return points.Commit(t.Context(), record, nil)
		},
	} {
		told = nil
		at, bucket := open()
		if err := do(at); err != nil || !bucket.Fired() {
			t.Errorf("%s: %v", what, err)
		}
		if len(told) != 1 || !strings.HasPrefix(told[0], "warning: the lock that is no longer needed stays") ||
			!strings.Contains(told[0], "stsbackup unlock") {
			t.Errorf("%s: told %q", what, told)
		}
		// The lock of a live process, such as this one, stays until somebody removes it, or until it is 30 minutes old.
		s.run(exitDone, "unlock", "demo/web", "--remove-all")
	}
}

// TestForgetIsDoneThoughItsLeaseStays: what the scheduler has removed stays removed, and it logs that the Lease is
// still there.
func TestForgetIsDoneThoughItsLeaseStays(t *testing.T) {
	s := newKeeper(t)
	mux := clusterOf()
	addLeases(mux)
	o, log := s.operations(kubeconfig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/leases/") {
			reply(
				w,
				http.StatusForbidden,
				metav1.Status{
					TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
					Status:   metav1.StatusFailure,
					Reason:   metav1.StatusReasonForbidden,
					Code:     http.StatusForbidden,
				},
			)
			return
		}
		mux.ServeHTTP(w, r)
	})))
	removed, err := o.Forget(t.Context(), scheduler.Name{Namespace: "demo", StatefulSet: "web"}, retention.Rules{Last: 2}, time.UTC)
	if err != nil || removed != 3 {
		t.Errorf("%d removed, %v", removed, err)
	}
	if text := log.String(); !strings.Contains(text, `"level":"WARN"`) || !strings.Contains(text, "delete Lease demo/") ||
		!strings.Contains(text, "it expires by itself") {
		t.Errorf("logged: %s", text)
	}
}

// TestKeyIsAddedThoughItsLockStays is the same test for a command that does not wait for locks.
func TestKeyIsAddedThoughItsLockStays(t *testing.T) {
	s := newKeeper(t)
	bucket := s.lockStays()
	root := location.NewRoot("", bucket, repository.Secret(s.env["STSBACKUP_PASSWORD"]))
	a := &app{out: &s.out, err: &s.err, getenv: func(name string) string { return s.env[name] }, now: s.now}
	_, err := (&repositoryFlags{}).upkeepOf(a, root, lockFlag{}).AddKey(t.Context(), upkeep.AddKeyRequest{
		StatefulSet: catalog.Name{Namespace: "demo", StatefulSet: "web"}, Password: "another",
	})
	if err != nil || !bucket.Fired() {
		t.Errorf("%v", err)
	}
	s.says("warning: the lock that is no longer needed stays")
}
