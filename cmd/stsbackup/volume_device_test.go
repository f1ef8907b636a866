package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// oldSite makes a volume whose files nobody has touched for years: each file looks like a copy of the others.
func oldSite(t *testing.T) string {
	t.Helper()
	dir, at := site(t), time.Unix(1_500_000_000, 0)
	for name := range files(t, dir) {
		if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestVolumeForceRead backs up copies of a volume: backup reads unchanged files only with --force-read.
func TestVolumeForceRead(t *testing.T) {
	s := volumeShell(t)
	for _, tt := range []struct {
		more []string
		read int64
	}{{nil, 5015}, {nil, 0}, {[]string{"--force-read"}, 5015}} {
		var saved archive.Result
		args := []string{"volume", "backup", oldSite(t), "--as", "demo/web", "--claim", "www-web-0", "-o", "json"}
		decode(t, s.run(0, append(args, tt.more...)...), &saved)
		if saved.BytesRead != tt.read || saved.Bytes != 5015 {
			t.Errorf("%v: %d bytes of %d are read, want %d", tt.more, saved.BytesRead, saved.Bytes, tt.read)
		}
	}
}

// loopDevice makes a block device of the given size that holds data at an offset.
func loopDevice(t *testing.T, size, offset int64, data []byte) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(data, offset)
	if err := errors.Join(err, f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		t.Fatalf("this test needs loop devices and root's rights: %v: %s", err, out)
	}
	path := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", path).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach %s: %v: %s", path, err, out)
		}
	})
	return path
}

// TestVolumeDevice saves a block device and restores it onto another, which holds data where the first has zeros:
// --blank keeps this data, --replace does not.
func TestVolumeDevice(t *testing.T) {
	const size, high = 4 << 20, 3 << 20
	s := volumeShell(t)
	content, other := bytes.Repeat([]byte("content "), 10_000), []byte("not blank")
	source, target := loopDevice(t, size, 4096, content), loopDevice(t, size, high, other)
	var saved archive.Result
	decode(t, s.run(0, "volume", "backup", source, "--as", "demo/db", "--claim", "data-db-0", "-o", "json"), &saved)
	if saved.Files != 1 || saved.Directories != 0 || saved.Bytes != size {
		t.Errorf("%+v", saved)
	}
	want := []byte(read(t, source))
	restore := []string{"volume", "restore", "demo/db", target, "--claim", "data-db-0"}
	s.run(exitFailed, restore...)
	s.says("exists already", "blank", "--replace")
	if got := read(t, target); got[high:high+len(other)] != string(other) || strings.Contains(got, "content") {
		t.Error("a restore that was refused wrote to the device")
	}
	s.run(0, append(restore, "--blank")...)
	kept := bytes.Clone(want)
	copy(kept[high:], other)
	if got := read(t, target); got != string(kept) {
		t.Error("--blank: the device is another one")
	}
	s.run(0, append(restore, "--replace")...)
	if got := read(t, target); got != string(want) {
		t.Error("--replace: the device is another one")
	}
	file := filepath.Join(t.TempDir(), "image")
	s.run(0, "volume", "restore", "demo/db", file, "--claim", "data-db-0")
	if got := read(t, file); got != string(want) {
		t.Error("the file is another one")
	}
}
