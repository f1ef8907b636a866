package archive_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestPreviousThatIsRefused backs up after a backup whose directory is larger than any can be: the new backup does
// without the old one, and says so.
func TestPreviousThatIsRefused(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	source := inMemory(t, big)
	b := builder{t: t, root: source}
	b.file("a", []byte("content"), 0o644)
	first := f.bed.backup(t, source)
	if len(first.Warnings) > 0 {
		t.Errorf("the first backup warns of %q", first.Warnings)
	}
	before := f.bed.latest(t)
	huge := append(bytes.Repeat([]byte{'x'}, 20<<20), `"}]}`...)
	tree := must(f.writer.SaveBlob(t.Context(), repository.TreeBlob, append([]byte(`{"nodes":[{"name":"a","linktarget":"`), huge...)))(t)
	before.Tree = f.tree(dirNode(claim, &tree))
	if err := f.writer.Flush(); err != nil {
		t.Fatal(err)
	}
	before.Time = before.Time.Add(1)
	if _, _, err := f.bed.repo.SaveSnapshot(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	again := f.bed.backup(t, source)
	if again.ProblemCount != 0 || again.BytesRead != 7 || len(again.Warnings) != 1 || !strings.Contains(again.Warnings[0], tree.String()) {
		t.Errorf("%+v", again)
	}
}
