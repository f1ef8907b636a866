package archive_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestAttributesThatCannotBeNamed saves extended attributes whose names are not UTF-8. The format would change such
// names, and merge two into one. The backup reports them and saves everything else; the next backup, which finds
// nothing changed, reports them again.
func TestAttributesThatCannotBeNamed(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.dir("dir", 0o755)
	b.file("file", []byte("content"), 0o644)
	b.file("whole", []byte("content"), 0o644)
	b.must(unix.Mkfifo(b.path("fifo"), 0o640))
	odd := map[string][]string{"dir": {"user.\xff"}, "fifo": {"trusted.\xff"}, "file": {"user.\xff", "user.\xfe"}}
	for name, attributes := range odd {
		for _, attribute := range append(attributes, "trusted.\ufffd", "trusted.last") {
			b.must(unix.Setxattr(b.path(name), attribute, []byte(attribute), 0))
		}
	}
	b.must(unix.Setxattr(b.path("whole"), "user.\ufffd", []byte("x"), 0))
	want := describe(t, source)
	for name, attributes := range odd {
		for _, attribute := range attributes {
			delete(want[name].Attrs, attribute)
		}
	}
	const reason = "extended attributes cannot be saved whose names are not UTF-8: "
	problems := []string{
		"dir: " + reason + `"user.\xff"`,
		"fifo: " + reason + `"trusted.\xff"`,
		"file: " + reason + `"user.\xff", "user.\xfe"`,
	}
	bed := later(t, newBed(t))
	for round, read := range []int64{14, 7} {
		saved := bed.backup(t, source)
		got := problemsOf(saved)
		slices.Sort(got)
		if diff := cmp.Diff(problems, got); diff != "" || saved.ProblemCount != 3 || saved.BytesRead != read {
			t.Errorf("backup %d read %d bytes, want %d; problems (-want +got):\n%s", round+1, saved.BytesRead, read, diff)
		}
		target := t.TempDir()
		bed.restore(t, target)
		compare(t, want, describe(t, target))
	}
	restic(t, bed.dir, "", "check", "--read-data")
}
