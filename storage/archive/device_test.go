package archive_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// device makes a block device of the given size, and returns its path and the path of the file behind it.
func device(t *testing.T, size int64) (path, image string) {
	t.Helper()
	image = filepath.Join(t.TempDir(), "image")
	builder{t: t, root: filepath.Dir(image)}.sparse("image", size, nil)
	out, err := exec.CommandContext(t.Context(), "losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		t.Fatalf("this test needs loop devices and root's rights: %v: %s", err, out)
	}
	path = strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", path).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach %s: %v: %s", path, err, out)
		}
	})
	return path, image
}

// fill writes to a device, past the page cache's delay.
func fill(t *testing.T, path string, at int64, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(data, at); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func (b bed) restoreDevice(t *testing.T, target archive.Target) (archive.Result, error) {
	t.Helper()
	target.Snapshot, target.Name = b.latest(t), claim
	return archive.Restore(t.Context(), b.repo, target, nil)
}

// TestBlockDevice saves a block device and restores it onto others and into a file; restic reads it too.
func TestBlockDevice(t *testing.T) {
	t.Parallel()
	const size = 64<<20 + 512
	source, _ := device(t, size)
	fill(t, source, 0, filler(3<<20, 1))
	fill(t, source, 40<<20, filler(5<<20+100, 3))
	want := must(os.ReadFile(source))(t)
	b := newBed(t)
	saved := b.backup(t, source)
	if saved.Files != 1 || saved.Directories != 0 || saved.Bytes != size || saved.BytesRead != size || saved.BytesStored > 10<<20 {
		t.Errorf("%+v", saved)
	}
	if again := b.backup(t, source); again.BytesRead != size || again.BytesStored > 16<<10 {
		t.Errorf("the same again: %+v", again)
	}
	restic(t, b.dir, "", "check", "--read-data")
	judged := t.TempDir()
	restic(t, b.dir, "", "restore", "--target", judged, "latest")
	if !bytes.Equal(must(os.ReadFile(filepath.Join(judged, claim)))(t), want) {
		t.Error("restic restores something else")
	}

	// Into a file, which gets holes.
	file := filepath.Join(t.TempDir(), "file")
	if _, err := b.restoreDevice(t, archive.Target{Dir: file}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(must(os.ReadFile(file))(t), want) || onDisk(t, file) > 9<<20 {
		t.Errorf("the file is another one, or takes %d bytes", onDisk(t, file))
	}
	if _, err := b.restoreDevice(t, archive.Target{Dir: file}); !errors.Is(err, archive.ErrInTheWay) {
		t.Errorf("over a file: %v", err)
	}

	// Onto a blank device, larger by a bit: zeros are not written.
	blank, image := device(t, size+4096)
	if _, err := b.restoreDevice(t, archive.Target{Dir: blank, Blank: true}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(must(os.ReadFile(blank))(t)[:size], want) || onDisk(t, image) > 10<<20 {
		t.Errorf("the device is another one, or %d bytes were written", onDisk(t, image))
	}

	// Onto a full device: zeros are written too.
	full, _ := device(t, size)
	fill(t, full, 0, filler(size, 5))
	if _, err := b.restoreDevice(t, archive.Target{Dir: full}); !errors.Is(err, archive.ErrInTheWay) {
		t.Errorf("over a device: %v", err)
	}
	if _, err := b.restoreDevice(t, archive.Target{Dir: full, Replace: true}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(must(os.ReadFile(full))(t), want) {
		t.Error("the device that was full is another one")
	}
}

func TestBlockDeviceDoesNotFit(t *testing.T) {
	t.Parallel()
	source, _ := device(t, 1<<20)
	small, _ := device(t, 1<<20-512)
	b := newBed(t)
	b.backup(t, source)
	dir := t.TempDir()
	for target, says := range map[string]string{small: "the volume needs 1048576", dir: "is a directory", "/dev/null": "no block device"} {
		if _, err := b.restoreDevice(t, archive.Target{Dir: target, Replace: true}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("restore onto %s: %v, want %q", target, err, says)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v in the directory, %v", left, err)
	}
	// One can look up a device's content like any file.
	node := must(archive.Lookup(t.Context(), b.repo, b.latest(t), claim, "/"))(t)
	var out bytes.Buffer
	if err := archive.Copy(t.Context(), b.repo, node, &out); err != nil || out.Len() != 1<<20 {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
}
