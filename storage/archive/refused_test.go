package archive_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// TestRefusedEntries restores entries that cannot be restored beside others that can: all others are restored, the
// restore fails, and a check has called the entries damage before.
func TestRefusedEntries(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		spoil  func(f *forger, file *treeblob.Node)
		reason string
	}{
		"an unknown type":     {func(_ *forger, n *treeblob.Node) { n.Type = "door" }, `"door" is not known`},
		"no type":             {func(_ *forger, n *treeblob.Node) { n.Type = "" }, `"" is not known`},
		"too small":           {func(_ *forger, n *treeblob.Node) { n.Size-- }, "said to be 3"},
		"too large":           {func(_ *forger, n *treeblob.Node) { n.Size++ }, "said to be 5"},
		"no content":          {func(_ *forger, n *treeblob.Node) { n.Content = nil }, "has 0 bytes"},
		"an empty piece":      {func(f *forger, n *treeblob.Node) { n.Content = append(n.Content, f.data("")) }, "empty blob"},
		"a piece of nowhere":  {func(_ *forger, n *treeblob.Node) { n.Content[0][0] ^= 1 }, "not in the index"},
		"a directory of none": {func(_ *forger, n *treeblob.Node) { n.Type = treeblob.Dir }, "without a tree"},
	} {
		f := newForger(t)
		spoilt := f.file("b", "four")
		test.spoil(f, &spoilt)
		target := t.TempDir()
		nodes := []treeblob.Node{f.file("a", "before"), spoilt, f.file("c", "after"), dirNode("d", f.tree(f.file("e", "below")))}
		result, err := f.restore(archive.Target{Dir: target}, nodes...)
		if err == nil || !strings.Contains(err.Error(), test.reason) || !strings.Contains(err.Error(), archive.ErrIncomplete.Error()) ||
			result.ProblemCount != 1 {
			t.Errorf("%s: %v, %+v", what, err, result)
		}
		for name, want := range map[string]string{"a": "before", "c": "after", "d/e": "below"} {
			if got, err := os.ReadFile(target + "/" + name); string(got) != want {
				t.Errorf("%s: %s holds %q, %v", what, name, got, err)
			}
		}
		f.checked(t, what, test.reason, nodes...)
		if spoilt.Type == treeblob.File {
			if err := archive.Copy(t.Context(), f.bed.repo, spoilt, new(strings.Builder)); err == nil ||
				!strings.Contains(err.Error(), test.reason) {
				t.Errorf("%s: the file was read alone: %v", what, err)
			}
		}
	}
}

// checked expects a check to call the repository snapshot of a volume damaged, for the given reason.
func (f *forger) checked(t *testing.T, what, reason string, nodes ...treeblob.Node) {
	t.Helper()
	root := f.tree(dirNode(claim, f.tree(nodes...))) // stored already, because it was restored
	id, _, err := f.bed.repo.SaveSnapshot(t.Context(), repository.Snapshot{Tree: root, Paths: []string{"/" + claim}})
	if err != nil {
		t.Fatal(err)
	}
	report, err := f.bed.repo.Check(t.Context(), repository.CheckOptions{})
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Reason, reason) ||
		!slices.Contains(report.Damaged, id) {
		t.Errorf("%s: the check says %+v, %v", what, report, err)
	}
}

// TestTooDeepToRestore restores directories one level deeper than allowed, and as deep as allowed.
func TestTooDeepToRestore(t *testing.T) {
	t.Parallel()
	for levels, fits := range map[int]bool{repository.MaxDepth: true, repository.MaxDepth + 1: false} {
		f := newForger(t)
		tree := f.tree(f.file("bottom", "x"))
		half := tree
		for level := range levels - 1 {
			if tree = f.tree(dirNode("d", tree)); level == levels/2 {
				half = tree
			}
		}
		// Half of them are in another place too, where the walk meets them first: their deepest place counts.
		nodes := []treeblob.Node{dirNode("c", half), dirNode("d", tree), f.file("e", "after")}
		target := inMemory(t, big)
		result, err := f.restore(archive.Target{Dir: target}, nodes...)
		if (err == nil) != fits || result.ProblemCount > 1 || result.ProblemCount == 0 != fits {
			t.Errorf("%d levels: %v, %+v", levels, err, result)
		}
		if got, err := os.ReadFile(target + "/e"); string(got) != "after" {
			t.Errorf("%d levels: beside them there is %q, %v", levels, got, err)
		}
		if !fits {
			f.checked(t, "too deep", "deeper than 4096", nodes...)
		} else if report, err := f.bed.repo.Check(t.Context(), repository.CheckOptions{}); err != nil || len(report.Problems) > 0 {
			t.Errorf("%d levels: %+v, %v", levels, report, err)
		}
	}
}
