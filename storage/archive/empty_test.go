package archive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
)

const (
	thisRestore = "mover:cluster:20261121T081200Z-0002:demo/web"
	lastRestore = "mover:cluster:20261121T081200Z-0001:demo/web"
)

// taking is a restore that wants a directory for itself, and goes on with the restore before it.
func (b bed) taking(t *testing.T, dir, operation string) archive.Taking {
	t.Helper()
	return archive.Taking{
		Dir: dir, Name: claim, Resumes: []string{lastRestore},
		Mark: archive.Mark{
			Operation: operation, Claim: "demo/" + claim, Source: "demo/web/" + claim,
			Repository: b.repo.ID(), RepositorySnapshot: b.latest(t).ID.String(), Started: time.Date(2026, 11, 21, 8, 12, 0, 5, time.UTC),
		},
		Open: func(context.Context) (*repository.Repository, error) { return b.repo, nil },
	}
}

// marked is the content of a restore's mark.
func (b bed) marked(t *testing.T, operation string, change func(*archive.Mark)) []byte {
	t.Helper()
	dir := t.TempDir()
	taking := b.taking(t, dir, operation)
	if change != nil {
		change(&taking.Mark)
	}
	must(archive.TakeEmpty(t.Context(), taking))(t)
	return must(os.ReadFile(filepath.Join(dir, archive.RestoringMark)))(t)
}

// savedSpecimen is a repository with a backup of one of everything.
func savedSpecimen(t *testing.T) bed {
	t.Helper()
	source := t.TempDir()
	specimen(t, source)
	bed, _ := memoryBed(t)
	bed.backup(t, source)
	return bed
}

// interrupted is a directory that the restore before has filled completely, but whose mark is still there.
func (b bed) interrupted(t *testing.T) builder {
	t.Helper()
	dir := t.TempDir()
	must(archive.TakeEmpty(t.Context(), b.taking(t, dir, lastRestore)))(t)
	b.restore(t, dir)
	return builder{t: t, root: dir}
}

// refused demands that neither TakeEmpty nor TakeBack touches the directory, and that both say why.
func (b bed) refused(t *testing.T, taking archive.Taking, says ...string) {
	t.Helper()
	before := describe(t, taking.Dir)
	_, err := archive.TakeEmpty(t.Context(), taking)
	for what, err := range map[string]error{"TakeEmpty": err, "TakeBack": archive.TakeBack(t.Context(), taking, b.latest(t).ID)} {
		if !errors.Is(err, archive.ErrNotOurs) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, word := range append(says, "find '"+taking.Dir+"' -mindepth 1 -maxdepth 1 ", "let another one be used") {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s says %q, and not %q", what, err, word)
			}
		}
	}
	compare(t, before, describe(t, taking.Dir))
}

// TestMarksOfOthers: what lies beside a mark is safe from everybody whom the mark does not name.
func TestMarksOfOthers(t *testing.T) {
	t.Parallel()
	bed, _ := memoryBed(t)
	source := t.TempDir()
	builder{t: t, root: source}.file("precious", []byte("data"), 0o600)
	bed.backup(t, source)
	ours := bed.marked(t, lastRestore, nil)
	edited := func(old, text string) []byte {
		if !bytes.Contains(ours, []byte(old)) {
			t.Fatalf("%s does not hold %s", ours, old)
		}
		return bytes.Replace(ours, []byte(old), []byte(text), 1)
	}
	for name, tt := range map[string]struct {
		mark []byte
		says string
	}{
		"another claim": {
			bed.marked(t, lastRestore, func(m *archive.Mark) { m.Claim = "demo/www-web-1" }), `this restore is for claim "demo/` + claim,
		},
		"another namespace": {
			bed.marked(t, lastRestore, func(m *archive.Mark) { m.Claim = "other/" + claim }), `into claim "other/` + claim,
		},
		"a directory": {bed.marked(t, lastRestore, func(m *archive.Mark) { m.Claim = "" }), "into a directory"},
		"another repository": {
			bed.marked(t, lastRestore, func(m *archive.Mark) { m.Repository = strings.Repeat("ab", 32) }), "of repository abababab",
		},
		"another operation":          {bed.marked(t, "mover:cluster:20261121T081200Z-0009:demo/web", nil), "-0009:demo/web"},
		"a person":                   {bed.marked(t, "", nil), "a restore that began at 2026-11-21T08:12:00Z"},
		"an earlier version":         {nil, "it is empty, as earlier versions of stsbackup wrote it"},
		"an application":             {[]byte("mine\x00"), `it begins with "mine\x00"`},
		"nothing":                    {[]byte("{}"), "not one that stsbackup writes"},
		"null":                       {[]byte("null"), "not one that stsbackup writes"},
		"a list":                     {[]byte("[1]"), "not one that stsbackup writes"},
		"a later version":            {edited(`"version":1`, `"version":2`), "later version (2)"},
		"a negative version":         {edited(`"version":1`, `"version":-1`), "not written as"},
		"a field more":               {edited(`"version":1`, `"version":1,"more":1`), "not written as"},
		"a field twice":              {edited(`"version":1`, `"version":1,"claim":"x"`), "not written as"},
		"another spelling":           {edited(`"version"`, `"Version"`), "not written as"},
		"a space":                    {edited(`"version":`, `"version": `), "not written as"},
		"another document behind it": {append(bytes.Clone(ours), ours...), "not one that stsbackup writes"},
		"no end":                     {ours[:len(ours)-3], "not one that stsbackup writes"},
		"no line's end":              {bytes.TrimSpace(ours), "not written as"},
		"no repository":              {edited(`"repository":"`+bed.repo.ID(), `"repository":"`), "not one that stsbackup writes"},
		"too much":                   {bytes.Repeat(ours, 20), "more than any that stsbackup writes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := builder{t: t, root: t.TempDir()}
			b.file("precious", []byte("data"), 0o600)
			b.dir("sub", 0o755)
			b.file(archive.RestoringMark, tt.mark, 0o600)
			taking := bed.taking(t, b.root, thisRestore)
			bed.refused(t, taking, tt.says, `"precious" and 1 more`)
		})
	}
}

// TestMarksThatAreNoFiles plants entries that would make a restore read or write its mark elsewhere.
func TestMarksThatAreNoFiles(t *testing.T) {
	t.Parallel()
	bed, _ := memoryBed(t)
	bed.backup(t, t.TempDir())
	ours := bed.marked(t, lastRestore, nil)
	for name, tt := range map[string]struct {
		plant func(b builder, victim string)
		says  string
	}{
		"a symlink to a mark of ours": {
			func(b builder, victim string) { b.must(os.Symlink(victim, b.path(archive.RestoringMark))) }, "it is a symlink to ",
		},
		"a symlink to one beside it": {func(b builder, _ string) {
			b.file("m", ours, 0o600)
			b.must(os.Symlink("m", b.path(archive.RestoringMark)))
		}, `symlink to "m"`},
		"a symlink to what is not there": {
			func(b builder, victim string) { b.must(os.Symlink(victim+"-new", b.path(archive.RestoringMark))) }, "it is a symlink to ",
		},
		"a fifo that nobody writes to": {func(b builder, _ string) { b.must(unix.Mkfifo(b.path(archive.RestoringMark), 0o600)) }, "it is a fifo"},
		"a directory":                  {func(b builder, _ string) { b.dir(archive.RestoringMark, 0o755) }, "it is a dir"},
		"a socket":                     {func(b builder, _ string) { socket(b.t, b.path(archive.RestoringMark)) }, "it is a socket"},
		"a device that never ends": {func(b builder, _ string) {
			b.must(unix.Mknod(b.path(archive.RestoringMark), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
		}, "it is a chardev"},
		"a symlink, and nothing beside it": {func(b builder, victim string) {
			b.must(os.Remove(b.path("precious")))
			b.must(os.Symlink(victim+"-new", b.path(archive.RestoringMark)))
		}, "it holds nothing else"},
		"a hard link to what is no mark": {func(b builder, victim string) {
			b.must(os.Truncate(victim, 0))
			b.must(os.Link(victim, b.path(archive.RestoringMark)))
		}, "it is empty"},
		"a file that is mostly a hole": {func(b builder, _ string) {
			b.file(archive.RestoringMark, ours, 0o600)
			b.must(os.Truncate(b.path(archive.RestoringMark), 1<<20))
		}, "more than any"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := builder{t: t, root: t.TempDir()}
			parent.file("victim", ours, 0o600)
			parent.dir("volume", 0o755)
			b := builder{t: t, root: parent.path("volume")}
			b.file("precious", []byte("data"), 0o600)
			tt.plant(b, parent.path("victim"))
			victim := must(os.ReadFile(parent.path("victim")))(t)
			bed.refused(t, bed.taking(t, b.root, thisRestore), tt.says)
			if got := must(os.ReadFile(parent.path("victim")))(t); !bytes.Equal(got, victim) {
				t.Errorf("beside the volume there is now %q", got)
			}
			if _, err := os.Lstat(parent.path("victim-new")); err == nil {
				t.Error("a mark was written through a symlink")
			}
		})
	}
}

// TestMark: the mark is a JSON object on the disk, and gone afterwards.
func TestMark(t *testing.T) {
	t.Parallel()
	bed, _ := memoryBed(t)
	bed.backup(t, t.TempDir())
	b := builder{t: t, root: t.TempDir()}
	b.dir("lost+found", 0o700)
	past := time.Date(2020, 2, 3, 4, 5, 6, 7, time.UTC)
	// A restore that was stopped while it made the mark has left nothing but the mark.
	b.file(archive.RestoringMark, nil, 0o600)
	done := must(archive.TakeEmpty(t.Context(), bed.taking(t, b.root, thisRestore)))(t)
	var got map[string]any
	b.must(json.Unmarshal(must(os.ReadFile(b.path(archive.RestoringMark)))(t), &got))
	for key, want := range map[string]any{
		"version": 1.0, "operation": thisRestore, "claim": "demo/" + claim, "source": "demo/web/" + claim, "repository": bed.repo.ID(),
		"repositorySnapshot": bed.latest(t).ID.String(), "started": "2026-11-21T08:12:00.000000005Z",
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	b.must(os.Chtimes(b.root, past, past))
	b.must(done())
	if names := must(os.ReadDir(b.root))(t); len(names) != 1 || names[0].Name() != "lost+found" {
		t.Errorf("it holds %v", names)
	}
	if at := must(os.Stat(b.root))(t).ModTime(); !at.Equal(past) {
		t.Errorf("the directory's time is %s", at)
	}
}

// TestUnfinishedRestoreIsGoneOnWith: a restore removes its own remains, and the remains of a restore that it goes on
// with, if nobody has touched those since.
func TestUnfinishedRestoreIsGoneOnWith(t *testing.T) {
	t.Parallel()
	bed := savedSpecimen(t)
	t.Run("its own", func(t *testing.T) {
		t.Parallel()
		b := bed.interrupted(t)
		b.file("half", []byte("whatever"), 0o644)
		taking := bed.taking(t, b.root, lastRestore)
		taking.Open = func(context.Context) (*repository.Repository, error) { return nil, errors.New("the bucket is away") }
		b.must(must(archive.TakeEmpty(t.Context(), taking))(t)())
		compareNames(t, b.root)
	})
	t.Run("that of the one before", func(t *testing.T) {
		t.Parallel()
		b := bed.interrupted(t)
		// The remains of a restore that was killed while it wrote these files.
		for name, size := range map[string]int64{"data/random": 21<<20 + 17, "data/text": 0, "empty": 0} {
			b.must(os.Truncate(b.path(name), min(size, 3<<20+5)))
			b.must(os.Truncate(b.path(name), size))
			b.must(os.Chmod(b.path(name), 0o600))
		}
		b.must(os.RemoveAll(b.path("data/deep")))
		taking, entries, steps := bed.taking(t, b.root, thisRestore), len(describe(t, b.root))-2, 0 // but for the root and the mark
		taking.Step = func() { steps++ }
		b.must(must(archive.TakeEmpty(t.Context(), taking))(t)())
		compareNames(t, b.root)
		if steps < 2*entries { // each is compared, and then removed
			t.Errorf("%d steps with %d entries", steps, entries)
		}
	})
	for name, tt := range map[string]struct {
		write func(b builder)
		says  string
	}{
		"a new file":             {func(b builder) { b.file("data/deep/er/new", []byte("x"), 0o600) }, `"data/deep/er/new"`},
		"a new directory":        {func(b builder) { b.dir("empty dir/new", 0o700) }, `"empty dir/new"`},
		"a file written to":      {func(b builder) { b.file("small", []byte("HELLO\n"), 0o640) }, `"small"`},
		"an unfinished one, too": {func(b builder) { b.file("data/text", bytes.Repeat([]byte("x"), 9<<20), 0o600) }, `"data/text"`},
		"a file grown":           {func(b builder) { b.must(os.Truncate(b.path("empty"), 1)) }, `"empty"`},
		"a symlink for a file": {
			func(b builder) { b.must(os.Remove(b.path("small"))); b.must(os.Symlink("secret", b.path("small"))) }, `"small"`,
		},
		"another symlink": {
			func(b builder) { b.must(os.Remove(b.path("symlink"))); b.must(os.Symlink("secret", b.path("symlink"))) }, `"symlink"`,
		},
		"another device": {func(b builder) {
			b.must(os.Remove(b.path("chardev")))
			b.must(unix.Mknod(b.path("chardev"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
		}, `"chardev"`},
		"a file for a directory":     {func(b builder) { b.must(os.Remove(b.path("sticky"))); b.file("sticky", nil, 0o600) }, `"sticky"`},
		"a file exchanged for a dir": {func(b builder) { b.must(os.Remove(b.path("small"))); b.dir("small", 0o700) }, `"small"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bed.interrupted(t)
			tt.write(b)
			bed.refused(t, bed.taking(t, b.root, thisRestore), tt.says)
			// Nor does the mark's content matter.
			b.must(os.Remove(b.path(archive.RestoringMark)))
			bed.refused(t, bed.taking(t, b.root, thisRestore))
		})
	}
	t.Run("of what was forgotten", func(t *testing.T) {
		t.Parallel()
		b := bed.interrupted(t)
		b.file(
			archive.RestoringMark,
			bed.marked(t, lastRestore, func(m *archive.Mark) { m.RepositorySnapshot = strings.Repeat("cd", 32) }),
			0o600,
		)
		bed.refused(t, bed.taking(t, b.root, thisRestore), "there is nothing left to compare")
	})
}

// TestTakeBack empties a volume that was filled to its end, whatever it was filled with, and as often as it is asked
// to.
func TestTakeBack(t *testing.T) {
	t.Parallel()
	bed := savedSpecimen(t)
	b := builder{t: t, root: t.TempDir()}
	b.dir("lost+found", 0o700)
	id := bed.latest(t).ID
	for range 2 {
		done := must(archive.TakeEmpty(t.Context(), bed.taking(t, b.root, thisRestore)))(t)
		bed.restore(t, b.root)
		b.must(done())
		b.must(os.RemoveAll(b.path("data/deep"))) // an earlier attempt did not get further
		for range 2 {
			b.must(archive.TakeBack(t.Context(), bed.taking(t, b.root, thisRestore), id))
			compareNames(t, b.root, "lost+found")
		}
	}
	t.Run("after one that did not end, without the bucket", func(t *testing.T) {
		b := bed.interrupted(t)
		taking := bed.taking(t, b.root, lastRestore)
		taking.Mark.Repository, taking.Mark.RepositorySnapshot = "", ""
		taking.Open = func(context.Context) (*repository.Repository, error) { return nil, errors.New("the bucket is away") }
		b.must(archive.TakeBack(t.Context(), taking, id))
		compareNames(t, b.root)
	})
	t.Run("a file written to since", func(t *testing.T) {
		b := builder{t: t, root: t.TempDir()}
		bed.restore(t, b.root)
		b.file("data/deep/er/and/deeper/one", nil, 0o600)
		before := describe(t, b.root)
		err := archive.TakeBack(t.Context(), bed.taking(t, b.root, thisRestore), id)
		if !errors.Is(err, archive.ErrNotOurs) || !strings.Contains(err.Error(), `"data/deep/er/and/deeper/one"`) {
			t.Error(err)
		}
		compare(t, before, describe(t, b.root))
	})
}

func compareNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	var got []string
	for _, entry := range must(os.ReadDir(dir))(t) {
		got = append(got, entry.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("it holds %q, want %q", got, want)
	}
}
