package archive_test

import (
	"strings"
	"testing"
)

// TestLargerThanCanBeNamed saves what lies beside a file of 64 TiB that is one hole: the ids of its pieces would take
// more bytes than a tree may have.
func TestLargerThanCanBeNamed(t *testing.T) {
	t.Parallel()
	source, target := inMemory(t, big), t.TempDir()
	b := builder{t: t, root: source}
	b.sparse("a", 64<<40, nil)
	b.file("b", []byte("beside it"), 0o644)
	bed, _ := memoryBed(t)
	saved := bed.backup(t, source)
	if saved.ProblemCount != 1 || !strings.HasPrefix(problemsOf(saved)[0], "a: is too large") || saved.BytesRead != 9 {
		t.Errorf("%+v", saved)
	}
	bed.restore(t, target)
	want := describe(t, target)
	delete(want, ".")
	if len(want) != 1 || want["b"].Size != 9 {
		t.Errorf("restored %v", want)
	}
}
