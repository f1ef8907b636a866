package archive_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// fewDescriptors is set, to the allowed number of open descriptors, in a process that may have only that many.
const fewDescriptors = "STSBACKUP_TEST_DESCRIPTORS"

// withFewDescriptors runs a test in a process of its own that may have only count descriptors open. It returns false in
// that process.
func withFewDescriptors(t *testing.T, count int) bool {
	t.Helper()
	if os.Getenv(fewDescriptors) != "" {
		return false
	}
	script := fmt.Sprintf(`ulimit -n %d && exec "$0" -test.run "^%s\$"`, count, t.Name())
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script, must(os.Executable())(t))
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", fewDescriptors, count))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("with %d descriptors: %v\n%s", count, err, out)
	}
	return true
}

// TestFewDescriptors restores a volume that could keep very many files and directories open, where only few may be:
// files with a beginning of their own, and an end that comes before all of these in the pack, and links to them; in one
// directory, and in as many directories.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	if withFewDescriptors(t, 256) {
		return
	}
	const files, end = 1500, " and the end of all"
	f := newForger(t)
	ending := f.data(end)
	var beside, dirs []treeblob.Node
	for i := range 2 * files {
		file := linked(f.file(fmt.Sprintf("file%04d", i), fmt.Sprintf("%04d", i)), uint64(i+1), 2)
		file.Content, file.Size = append(file.Content, ending), file.Size+uint64(len(end))
		again := file
		again.Name = "link" + again.Name
		if i < files {
			beside = append(beside, file, again)
		} else {
			dirs = append(dirs, dirNode(fmt.Sprintf("dir%04d", i), f.tree(file, again)))
		}
	}
	slices.SortFunc(beside, func(a, b treeblob.Node) int { return strings.Compare(a.Name, b.Name) })
	target := inMemory(t, big)
	result, err := f.restore(archive.Target{Dir: target}, append(dirs, dirNode("one", f.tree(beside...)))...)
	if err != nil || result.Files != 4*files || result.ProblemCount != 0 {
		t.Fatalf("%v, %+v", err, result)
	}
	for i := range 2 * files {
		dir, name, content := "one", fmt.Sprintf("file%04d", i), fmt.Sprintf("%04d%s", i, end)
		if i >= files {
			dir = fmt.Sprintf("dir%04d", i)
		}
		file, link := filepath.Join(target, dir, name), filepath.Join(target, dir, "link"+name)
		if got := must(os.ReadFile(file))(t); string(got) != content {
			t.Errorf("%s holds %q", file, got)
		}
		if !os.SameFile(must(os.Stat(file))(t), must(os.Stat(link))(t)) {
			t.Errorf("%s is another file than %s", link, file)
		}
	}
}

// TestTooFewDescriptors restores directories that lie deeper within each other than can be open: the whole restore
// fails, and says what to do.
func TestTooFewDescriptors(t *testing.T) {
	t.Parallel()
	if withFewDescriptors(t, 256) {
		return
	}
	f := newForger(t)
	tree := f.tree()
	for range 300 {
		tree = f.tree(dirNode("d", tree))
	}
	result, err := f.restore(archive.Target{Dir: inMemory(t, big)}, dirNode("d", tree))
	if err == nil || !strings.Contains(err.Error(), unix.EMFILE.Error()) || !strings.Contains(err.Error(), "ulimit -n") ||
		result.ProblemCount != 0 {
		t.Errorf("%v, %+v", err, result)
	}
}
