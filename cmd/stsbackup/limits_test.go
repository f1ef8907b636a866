package main

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/location"
)

// TestVolumeLimits: commands keep to their limits. On a busy machine a test can only check that they are not faster.
func TestVolumeLimits(t *testing.T) {
	s := volumeShell(t)
	source, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
	noise := make([]byte, 60<<10)
	_, err := rand.Read(noise)
	if err = errors.Join(err, os.WriteFile(filepath.Join(source, "noise"), noise, 0o644)); err != nil {
		t.Fatal(err)
	}
	const least = 500 * time.Millisecond // less than the data that there is, at 100 KiB/s
	begun := time.Now()
	s.run(0, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0", "--limit-upload", "100", "--connections", "2")
	if took := time.Since(begun); took < least {
		t.Errorf("a backup took %s", took)
	}
	s.env[location.EnvLimitDownload] = "100"
	begun = time.Now()
	s.run(0, "volume", "restore", "demo/web", target, "--claim", "www-web-0", "--connections", "2")
	if took := time.Since(begun); took < least {
		t.Errorf("a restore took %s", took)
	}
	sameFiles(t, source, target)
	s.run(exitUsage, "list", "--limit-upload", "fast")
	s.says("--limit-upload", "whole number")
}
