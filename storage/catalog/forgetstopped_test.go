package catalog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// files are the content of a volume.
type files map[string]string

// saveFiles backs up a volume with these files, and commits a recovery point that holds only this volume.
func (w world) saveFiles(t *testing.T, id string, content files) Record {
	t.Helper()
	const claim = "www-web-0"
	dir := t.TempDir()
	for name, data := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	result, err := archive.Backup(t.Context(), w.Repository(), archive.Source{
		Dir: dir, Name: claim, Host: w.Host(), Tags: []string{TagStsbackup, TagClaim + "=" + claim, TagRecoveryPoint + "=" + id},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.commit(t, Record{
		ID:          RecoveryPointID(id),
		State:       StateComplete,
		Cluster:     "cluster-a",
		Namespace:   "demo",
		StatefulSet: "web",
		Started:     started,
		Finished:    started,
		Replicas:    1,
		Volumes: []Volume{
			{
				Template:           "www",
				Claim:              claim,
				Capture:            CaptureSnapshot,
				Cut:                started,
				Mode:               "Filesystem",
				RepositorySnapshot: result.RepositorySnapshot,
			},
		},
	})
}

// states are what stops can leave in a bucket, except its locks: objects by their hashes.
type states map[[sha256.Size]byte]map[string][]byte

// keep notes the state of a bucket.
func (s states) keep(t *testing.T, bucket storage.Bucket) {
	t.Helper()
	objects, all := map[string][]byte{}, sha256.New()
	for _, name := range slices.Sorted(maps.Keys(names(t, bucket, ""))) {
		if !strings.Contains(name, "/locks/") {
			objects[name] = read(t, bucket, name)
			fmt.Fprintf(all, "%s %x\n", name, sha256.Sum256(objects[name]))
		}
	}
	s[[sha256.Size]byte(all.Sum(nil))] = objects
}

// judge restores the volume of every recovery point in each state, with stsbackup and with restic, which must also find
// nothing wrong.
func (s states) judge(t *testing.T, want map[string]files) {
	t.Helper()
	for _, objects := range s {
		dir := t.TempDir()
		bucket, err := local.Open(local.Config{Dir: dir})
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, "demo/web/locks"), 0o700) // which restic expects, also where none is
		}
		for name, data := range objects {
			err = errors.Join(err, bucket.Put(t.Context(), name, data))
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := Open(t.Context(), bucket, "demo", "web", Password("root", "demo", "web"))
		if err != nil {
			t.Fatal(err)
		}
		mustRestic(t, dir, "check", "--read-data")
		records, err := c.List(t.Context())
		if err != nil {
			t.Error(err)
		}
		for _, r := range records {
			volume := r.Volumes[0]
			snapshot, err := c.FindVolume(t.Context(), string(r.ID), volume.Claim)
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs := t.TempDir(), t.TempDir()
			if _, err := archive.Restore(
				t.Context(),
				c.Repository(),
				archive.Target{Snapshot: snapshot, Name: volume.Claim, Dir: ours},
				nil,
			); err != nil {
				t.Error(err)
			}
			mustRestic(t, dir, "restore", volume.RepositorySnapshot, "--target", theirs)
			for by, restored := range map[string]string{"stsbackup": ours, "restic": filepath.Join(theirs, volume.Claim)} {
				if diff := cmp.Diff(want[string(r.ID)], readFiles(t, restored)); diff != "" {
					t.Errorf("%s, restored by %s (-want +got):\n%.1000s", r.ID, by, diff)
				}
			}
		}
	}
}

func readFiles(t *testing.T, dir string) files {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := files{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[entry.Name()] = string(data)
	}
	return found
}

// mustRestic runs restic on the repository in a directory.
func mustRestic(t *testing.T, dir string, args ...string) {
	t.Helper()
	binary, err := exec.LookPath("restic")
	if err != nil {
		t.Fatal("this test needs the restic program as the judge of the format: apt-get install restic")
	}
	cmd := exec.CommandContext(
		t.Context(),
		binary,
		append([]string{"--no-cache", "--no-lock", "-q", "-r", filepath.Join(dir, "demo/web")}, args...)...)
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+Password("root", "demo", "web").Reveal())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("restic %v: %v\n%s", args, err, out)
	}
}

// exchange is a bucket that can be exchanged under an open repository, because opening a repository takes long.
type exchange struct{ storage.Bucket }

// TestForgetStoppedAnywhere stops at every operation: a half forgotten recovery point does not exist, all others are
// whole, and doing it again forgets the rest. Every recovery point that exists in a state of the bucket can be restored
// from that state, and restic checks each.
func TestForgetStoppedAnywhere(t *testing.T) {
	w := newWorld(t)
	shared := strings.Repeat("in both of them\n", 1000)
	first, second := "20261121T081200Z-0001", "20261121T091200Z-0002"
	want := map[string]files{first: {"shared": shared, "one": "of the first"}, second: {"shared": shared, "two": "of the second"}}
	gone, kept := w.saveFiles(t, first, want[first]), w.saveFiles(t, second, want[second])
	left := states{}
	synctest.Test(t, func(t *testing.T) { left.stopForget(t, w, gone, kept) }) // time passes as fast as it can
	if len(left) != 3 {
		t.Errorf("%d states of the bucket; want three: whole, without the record, and without its volume as well", len(left))
	}
	left.judge(t, want)
}

// stopForget keeps what each stop leaves, and what doing it again does.
func (s states) stopForget(t *testing.T, w world, gone, kept Record) {
	t.Helper()
	bucket := &exchange{}
	fresh := func(fault storagetest.Fault) *storagetest.Faulty {
		memory := storagetest.NewMemory()
		for name := range names(t, w.bucket, "") {
			if err := memory.Put(t.Context(), name, read(t, w.bucket, name)); err != nil {
				t.Fatal(err)
			}
		}
		bucket.Bucket = memory
		return storagetest.NewFaulty(memory, fault)
	}
	fresh(storagetest.Fault{})
	c, err := Open(t.Context(), bucket, "demo", "web", Password("root", "demo", "web"))
	if err != nil {
		t.Fatal(err)
	}
	counting := fresh(storagetest.Fault{})
	bucket.Bucket = counting
	if _, err := c.Forget(t.Context(), string(gone.ID)); err != nil {
		t.Fatal(err)
	}
	operations := len(counting.Operations())
	for _, how := range []storagetest.How{storagetest.Before, storagetest.After, storagetest.Torn} {
		for at := 1; at <= operations; at++ {
			faulty := fresh(storagetest.Fault{At: at, How: how, Stop: true})
			memory := bucket.Bucket
			bucket.Bucket = faulty
			var left error
			c.Repository().SetLockLeft(func(told error) { left = told })
			_, err := c.Forget(t.Context(), string(gone.ID))
			if !faulty.Fired() || err == nil && (left == nil || !strings.Contains(faulty.Operations()[at-1].Name, "/locks/")) {
				t.Errorf("%s %d: %v", how, at, err)
			}
			bucket.Bucket = memory
			s.keep(t, memory)
			forgottenInPart(t, c, gone, kept)
			if _, err := c.Repository().Unlock(t.Context(), func(repository.Holder) bool { return true }); err != nil {
				t.Fatal(err)
			}
			_, err = c.Forget(t.Context(), string(gone.ID))
			if err != nil && !errors.Is(err, ErrNoRecoveryPoint) { // it was forgotten whole the first time
				t.Errorf("%s %d: again: %v", how, at, err)
			}
			s.keep(t, memory)
			if n := count(t, memory, "demo/web/snapshots/"); n != 2 {
				t.Errorf("%s %d: %d repository snapshots are left", how, at, n)
			}
		}
	}
	if operations < 8 {
		t.Errorf("only %d operations", operations)
	}
	t.Logf("%d operations, %d stops", operations, 3*operations)
}

// forgottenInPart checks that a catalog has one recovery point whole, and the other whole or not at all.
func forgottenInPart(t *testing.T, c *Catalog, gone, kept Record) {
	t.Helper()
	v, err := c.Verify(t.Context(), "", repository.CheckOptions{ReadData: 1})
	if v.Repository.OnlyLocks() { // half a lock, which no Bucket leaves; verify must find it, and it affects no recovery point
		v.Repository.Problems = nil
	}
	if err != nil || !v.OK() {
		t.Errorf("%+v, %v", v, err)
	}
	var ids []string
	for _, point := range v.Points {
		ids = append(ids, string(point.ID))
	}
	if got := strings.Join(ids, " "); got != string(kept.ID) && got != string(gone.ID+" "+kept.ID) {
		t.Errorf("recovery points: %s", got)
	}
}
