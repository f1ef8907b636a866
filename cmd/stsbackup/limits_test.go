package main

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestMoversGetTheLimits: by their environment, for they have none of ours.
func TestMoversGetTheLimits(t *testing.T) {
	env := map[string]string{location.EnvConnections: "5", location.EnvLimitDownload: "70"}
	a := &app{getenv: func(name string) string { return env[name] }, version: "v1"}
	root, err := location.Open(
		location.Config{URL: "s3://bucket/root", Limits: location.Limits{Download: "80"}, Getenv: a.getenv},
		repository.Secret("root password"),
	)
	if err != nil {
		t.Fatal(err)
	}
	flags := moverFlags{repo: "file:///mnt"}
	config, err := flags.config(t.Context(), a, root, target{namespace: "demo", statefulSet: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{location.EnvConnections: "5", location.EnvLimitDownload: "80"}, config.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

// TestVolumeLimits holds commands to their limits; only that they are not faster can be told on a busy machine.
func TestVolumeLimits(t *testing.T) {
	s := volumeShell(t)
	source, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
	noise := make([]byte, 60<<10)
	_, err := rand.Read(noise)
	if err = errors.Join(err, os.WriteFile(filepath.Join(source, "noise"), noise, 0o644)); err != nil {
		t.Fatal(err)
	}
	const least = 500 * time.Millisecond // what 100 KiB/s lets through in that time is less than there is
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
