package archive_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// TestRestoringMark saves a volume that a restore has not filled to its end: the backup reports the mark, and does not
// hold it.
func TestRestoringMark(t *testing.T) {
	t.Parallel()
	source, target := t.TempDir(), t.TempDir()
	b := builder{t: t, root: source}
	b.file(archive.RestoringMark, nil, 0o600)
	b.file("file", []byte("text"), 0o644)
	b.dir("sub", 0o755)
	b.file("sub/"+archive.RestoringMark, []byte("somebody's"), 0o644)
	stamp(t, source)
	bed, _ := memoryBed(t)
	saved := bed.backup(t, source)
	problems := strings.Join(problemsOf(saved), "\n")
	if saved.ProblemCount != 1 || saved.Files != 2 ||
		!strings.HasPrefix(problems, archive.RestoringMark+": a restore into this volume has not ended") ||
		!strings.HasSuffix(problems, "if nothing is missing") {
		t.Errorf("%+v", saved)
	}
	bed.restore(t, target)
	want := describe(t, source)
	delete(want, archive.RestoringMark)
	compare(t, want, describe(t, target))
}

// TestSavedRestoringMark restores a mark that an older backup saved with such a volume, into a volume that is being
// filled.
func TestSavedRestoringMark(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	target := t.TempDir()
	builder{t: t, root: target}.file(archive.RestoringMark, []byte("of this restore"), 0o600)
	result, err := f.restore(archive.Target{Dir: target}, f.file(archive.RestoringMark, "of another"), f.file("file", "text"))
	if err != nil || result.Files != 2 || result.Bytes != int64(len("of another")+len("text")) {
		t.Errorf("%v, %+v, want the counts of what was saved", err, result)
	}
	for name, want := range map[string]string{archive.RestoringMark: "of this restore", "file": "text"} {
		if got := must(os.ReadFile(target + "/" + name))(t); string(got) != want {
			t.Errorf("%s holds %q", name, got)
		}
	}
}
