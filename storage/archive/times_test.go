package archive_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// times are of all ages that a file can have: before and after everything that nanoseconds in 64 bits, seconds in 32
// bits, or positive numbers can express.
func times() map[string]time.Time {
	return map[string]time.Time{
		"first of the format":      time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		"1600":                     time.Date(1600, 2, 29, 1, 2, 3, 123_456_789, time.UTC),
		"before nanoseconds":       time.Date(1677, 9, 21, 0, 12, 43, 145_224_191, time.UTC),
		"before 32 bits":           time.Date(1901, 12, 13, 20, 45, 51, 999_999_999, time.UTC),
		"just before the epoch":    time.Unix(-1, 999_999_999).UTC(),
		"half before the epoch":    time.Unix(-2, 500_000_001).UTC(),
		"epoch":                    time.Unix(0, 0).UTC(),
		"after 32 bits":            time.Date(2038, 1, 19, 3, 14, 8, 1, time.UTC),
		"after nanoseconds":        time.Date(2262, 4, 11, 23, 47, 16, 854_775_808, time.UTC),
		"2300":                     time.Date(2300, 12, 31, 23, 59, 59, 987_654_321, time.UTC),
		"last of the format":       time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		"later than the format is": time.Date(12345, 6, 7, 8, 9, 10, 11, time.UTC),
	}
}

// held is what the format can hold of a time.
func held(at time.Time) time.Time {
	if at.Year() > 9999 {
		return at.AddDate(9999-at.Year(), 0, 0)
	}
	return at
}

// TestTimesOfAllAges saves and restores entries of each kind with each of these times. restic reads the same times,
// although the version in the tests is too old to restore them. The test runs in memory, because that file system can
// hold all of the times; those on disks cannot: ext4 turns 1600 into 1901.
func TestTimesOfAllAges(t *testing.T) {
	t.Parallel()
	source, target := inMemory(t, big), inMemory(t, big)
	b := builder{t: t, root: source}
	want := map[string]time.Time{}
	for name, at := range times() {
		b.file("file "+name, []byte(name), 0o644)
		b.dir("dir "+name, 0o755)
		b.must(os.Symlink(name, b.path("symlink "+name)))
		b.must(unix.Mkfifo(b.path("fifo "+name), 0o644))
		for _, kind := range []string{"file ", "dir ", "symlink ", "fifo "} {
			ts := unix.Timespec{Sec: at.Unix(), Nsec: int64(at.Nanosecond())}
			b.must(unix.UtimesNanoAt(unix.AT_FDCWD, b.path(kind+name), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
			want[kind+name] = held(at)
			if got := must(os.Lstat(b.path(kind + name)))(t).ModTime(); !got.Equal(at) {
				t.Fatalf("the file system makes %s of %s", got, at)
			}
		}
	}
	bed := later(t, newBed(t))
	saved := bed.backup(t, source)
	again := bed.backup(t, source)
	// Only the file whose time cannot be expressed is not recognised.
	if beyond := int64(len("later than the format is")); saved.ProblemCount != 0 || again.ProblemCount != 0 || again.BytesRead != beyond {
		t.Errorf("%+v, then %+v, which should read %d bytes", saved, again, beyond)
	}
	bed.restore(t, target)
	for name, at := range want {
		if got := must(os.Lstat(filepath.Join(target, name)))(t).ModTime(); !got.Equal(at) {
			t.Errorf("%s has the time %s, want %s", name, got.UTC(), at)
		}
	}
	restic(t, bed.dir, "", "check", "--read-data")
	for line := range strings.Lines(restic(t, bed.dir, "", "ls", "--json", "latest")) {
		var node struct {
			Name  string    `json:"name"`
			MTime time.Time `json:"mtime"`
		}
		if err := json.Unmarshal([]byte(line), &node); err != nil {
			t.Fatal(err)
		}
		if at, ok := want[node.Name]; ok {
			delete(want, node.Name)
			if !node.MTime.Equal(at) {
				t.Errorf("restic reads the time %s for %s, want %s", node.MTime, node.Name, at)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("restic does not see %v", want)
	}
}
