package archive_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// memoryBed is a repository in memory, for tests that need no check by restic.
func memoryBed(t *testing.T) (bed, *storagetest.Memory) {
	t.Helper()
	bucket := storagetest.NewMemory()
	repo, err := repository.Init(t.Context(), bucket, password, repository.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return bed{repo: repo}, bucket
}

// hook calls a function at the first report for which when returns true.
type hook struct {
	when func(archive.Progress) bool
	do   func()
	done bool
}

func (h *hook) Report(p archive.Progress) {
	if !h.done && h.when(p) {
		h.done = true
		h.do()
	}
}

// backupWhile backs a directory up and changes the directory meanwhile.
func (b bed) backupWhile(t *testing.T, dir string, h *hook) archive.Result {
	t.Helper()
	result, err := archive.Backup(t.Context(), b.repo, archive.Source{Dir: dir, Name: claim, Host: "demo/web"}, h)
	if err != nil {
		t.Fatal(err)
	}
	if !h.done {
		t.Fatal("nothing was changed while the backup ran")
	}
	return result
}

// problemsOf returns paths and reasons, as a person would read them.
func problemsOf(r archive.Result) []string {
	var lines []string
	for _, p := range r.Problems {
		lines = append(lines, p.Path+": "+p.Reason)
	}
	return lines
}

func TestFileThatVanishes(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.file("a", []byte("a"), 0o644)
	b.file("b", []byte("b"), 0o644)
	b.dir("c", 0o755)
	b.file("d", []byte("d"), 0o644)
	bed, _ := memoryBed(t)
	result := bed.backupWhile(t, source, &hook{when: func(p archive.Progress) bool { return p.Files == 1 }, do: func() {
		b.must(os.Remove(b.path("b")))
		b.must(os.Remove(b.path("c")))
	}})
	const gone = "removed before it could be read; it is not in the backup"
	want := []archive.Change{{Path: "b", Kind: archive.Vanished, Detail: gone}, {Path: "c", Kind: archive.Vanished, Detail: gone}}
	if diff := cmp.Diff(want, result.Changes); diff != "" || result.ChangeCount != 2 || result.ProblemCount != 0 || result.Files != 2 {
		t.Errorf("%+v, changes (-want +got):\n%s", result, diff)
	}
	target := t.TempDir()
	bed.restore(t, target)
	left, got := describe(t, source), describe(t, target)
	delete(left, ".") // has the time from before the removal
	delete(got, ".")
	compare(t, left, got)
}

// TestFileThatChangesItsLength changes a file of several slabs while the first is being read.
func TestFileThatChangesItsLength(t *testing.T) {
	t.Parallel()
	const size, kept = 40<<20 + 3, 21<<20 + 5
	content := filler(size, 1)
	tests := map[string]struct {
		change func(path string) error
		want   []byte
		kind   archive.ChangeKind
	}{
		"shrinks":      {func(path string) error { return os.Truncate(path, kept) }, content[:kept], archive.Shrank},
		"is emptied":   {func(path string) error { return os.Truncate(path, 0) }, nil, archive.Shrank},
		"grows":        {func(path string) error { return os.Truncate(path, size+1000) }, content, archive.Grew},
		"is removed":   {os.Remove, content, archive.Vanished},
		"is exchanged": {func(path string) error { return os.Rename(path+".new", path) }, content, archive.Vanished},
		"is touched":   {func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) }, content, archive.Changed},
		"is chmodded":  {func(path string) error { return os.Chmod(path, 0o600) }, content, archive.Changed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			source := t.TempDir()
			b := builder{t: t, root: source}
			b.file("file", content, 0o644)
			b.file("file.new", []byte("new"), 0o644)
			bed, _ := memoryBed(t)
			result := bed.backupWhile(t, source, &hook{
				when: func(p archive.Progress) bool { return p.Bytes > 0 },
				do:   func() { b.must(tt.change(b.path("file"))) },
			})
			target := t.TempDir()
			bed.restore(t, target) // refuses sizes that differ from the content's
			got, err := os.ReadFile(filepath.Join(target, "file"))
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == nil { // the part that had been read by then
				tt.want = content[:len(got)]
			}
			if !bytes.Equal(got, tt.want) {
				t.Errorf("restored %d bytes, not the %d that were to be expected", len(got), len(tt.want))
			}
			if result.ProblemCount != 0 || len(result.Changes) == 0 || result.Changes[0].Path != "file" || result.Changes[0].Kind != tt.kind {
				t.Errorf("problems %v, changes %+v, want that it %s", problemsOf(result), result.Changes, tt.kind)
			}
		})
	}
}

// asNobody gives up root's rights until the end of the test.
func asNobody(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := syscall.Seteuid(65534); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Seteuid(0); err != nil {
			t.Fatal(err)
		}
	})
}

// TestWithoutPrivileges saves and restores as a user who is not root. Others' secrets become problems, entries belong
// to that user, and a file gets no set-user-id bit that was meant for another owner.
func TestWithoutPrivileges(t *testing.T) {
	source, target := t.TempDir(), t.TempDir()
	specimen(t, source)
	b := builder{t: t, root: source}
	b.must(os.Remove(b.path("chardev")))
	b.must(os.Remove(b.path("blockdev")))
	stamp(t, source)
	for _, dir := range []string{source, target} {
		b.must(os.Chmod(filepath.Dir(dir), 0o777))
	}
	b.must(os.Chmod(target, 0o777))
	want := describe(t, source)

	bed, _ := memoryBed(t)
	inner := filepath.Join(target, "inner")
	asNobody(t)
	saved := bed.backup(t, source)
	// "data" is 0700, "secret" is 0 and "small" is 0640, and all belong to others.
	if saved.ProblemCount != 3 || !strings.Contains(strings.Join(problemsOf(saved), "\n"), "secret: permission denied") {
		t.Errorf("problems of the backup: %v", problemsOf(saved))
	}
	bed.restore(t, inner)
	got := describe(t, inner)
	if len(got) < 10 {
		t.Fatalf("only %d entries", len(got))
	}
	for name, e := range want {
		if name == "secret" || name == "small" || name == "data" || strings.HasPrefix(name, "data/") {
			delete(want, name)
			continue
		}
		if e.Mode &^= fs.ModeSetuid; e.GID != got[name].GID { // the group that this process has can be given
			e.Mode &^= fs.ModeSetgid
		}
		e.UID, e.GID, e.SameAs = got[name].UID, got[name].GID, got[name].SameAs
		if delete(e.Attrs, "security.capability"); len(e.Attrs) == 0 { // only root may give capabilities
			e.Attrs = nil
		}
		want[name] = e
	}
	compare(t, want, got)
}

func TestBackupRefusesWhatCannotBeNamed(t *testing.T) {
	t.Parallel()
	b, _ := memoryBed(t)
	for _, source := range []archive.Source{
		{Dir: t.TempDir(), Name: "a/b"}, {Dir: t.TempDir(), Name: ".."}, {Dir: t.TempDir()},
		{Dir: t.TempDir(), Name: "x", Tags: []string{"a,b"}}, {Dir: "/does/not/exist", Name: "x"}, {Dir: "/etc/hostname", Name: "x"},
	} {
		if _, err := archive.Backup(t.Context(), b.repo, source, nil); err == nil {
			t.Errorf("backed up %+v", source)
		}
	}
	if snapshots, err := b.repo.Snapshots(t.Context()); err != nil || len(snapshots) > 0 {
		t.Errorf("%d repository snapshots, %v", len(snapshots), err)
	}
}

func TestManyProblems(t *testing.T) {
	source := t.TempDir()
	b := builder{t: t, root: source}
	long := strings.Repeat("\x01", 250)
	for i := range 30 {
		b.file(long+string(rune('a'+i)), nil, 0)
	}
	b.must(os.Chmod(source, 0o755))
	b.must(os.Chmod(filepath.Dir(source), 0o755))
	bed, _ := memoryBed(t)
	asNobody(t)
	result := bed.backup(t, source)
	if result.ProblemCount != 30 || len(result.Problems) != archive.MaxProblems {
		t.Errorf("%d problems, of which %d are named", result.ProblemCount, len(result.Problems))
	}
	for _, p := range result.Problems {
		if len(p.Path)+len(p.Reason) > 400 {
			t.Errorf("a problem of %d bytes", len(p.Path)+len(p.Reason))
		}
	}
}

func TestErrorsAreSentinels(t *testing.T) {
	t.Parallel()
	b, _ := memoryBed(t)
	source := t.TempDir()
	builder{t: t, root: source}.file("f", []byte("x"), 0o644)
	b.backup(t, source)
	snapshot := b.latest(t)
	if _, err := archive.Restore(t.Context(), b.repo, archive.Target{Snapshot: snapshot, Name: "other", Dir: t.TempDir()}, nil); err == nil ||
		!strings.Contains(err.Error(), `"other"`) {
		t.Errorf("restore of another claim: %v", err)
	}
	if _, err := archive.Restore(t.Context(), b.repo, archive.Target{Snapshot: snapshot, Name: claim, Dir: source}, nil); !errors.Is(
		err,
		archive.ErrInTheWay,
	) {
		t.Errorf("restore over the source: %v", err)
	}
	if _, err := archive.Lookup(t.Context(), b.repo, snapshot, claim, "f/g"); !errors.Is(err, archive.ErrNoEntry) {
		t.Errorf("look into a file: %v", err)
	}
}
