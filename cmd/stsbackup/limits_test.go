package main

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stsbackup/stsbackup/storage/limit"
	"github.com/stsbackup/stsbackup/storage/repository"
)

func TestReadLimits(t *testing.T) {
	for name, test := range map[string]struct {
		flags limitFlags
		env   map[string]string
		want  limit.Limits
		fails bool
	}{
		"none":  {want: limit.Limits{}},
		"flags": {flags: limitFlags{"100", "2048", "4"}, want: limit.Limits{Upload: 100 << 10, Download: 2 << 20, Connections: 4}},
		"environment": {
			env: map[string]string{envLimitUpload: "9", envConnections: "3"}, want: limit.Limits{Upload: 9 << 10, Connections: 3},
		},
		"flags come first": {flags: limitFlags{upload: "10"}, env: map[string]string{envLimitUpload: "9"}, want: limit.Limits{Upload: 10 << 10}},
		"the slowest":      {flags: limitFlags{"8", "8", "2"}, want: limit.Limits{Upload: 8 << 10, Download: 8 << 10, Connections: 2}},
		"too slow":         {flags: limitFlags{upload: "7"}, fails: true},
		"with a unit":      {flags: limitFlags{download: "10M"}, fails: true},
		"one connection":   {flags: limitFlags{connections: "1"}, fails: true},
		"too fast":         {flags: limitFlags{upload: "9999999999"}, fails: true},
		"bad environment":  {env: map[string]string{envLimitDownload: "-1"}, fails: true},
	} {
		a := &app{getenv: func(name string) string { return test.env[name] }}
		got, err := test.flags.read(a)
		if (err != nil) != test.fails || err != nil && exitCode(t.Context(), err) != exitUsage {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(limit.Limits{}, "Now")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestMoversGetTheLimits: by their environment, for they have none of ours.
func TestMoversGetTheLimits(t *testing.T) {
	env := map[string]string{envConnections: "5", envLimitDownload: "70"}
	a := &app{getenv: func(name string) string { return env[name] }, version: "v1"}
	root := &store{url: "s3://bucket/root", secret: repository.Secret("root password"), limits: limitFlags{download: "80"}}
	flags := moverFlags{repo: "file:///mnt"}
	config, err := flags.config(t.Context(), a, root, target{namespace: "demo", statefulSet: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{envConnections: "5", envLimitDownload: "80"}, config.Env); diff != "" {
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
	s.env[envLimitDownload] = "100"
	begun = time.Now()
	s.run(0, "volume", "restore", "demo/web", target, "--claim", "www-web-0", "--connections", "2")
	if took := time.Since(begun); took < least {
		t.Errorf("a restore took %s", took)
	}
	sameFiles(t, source, target)
	s.run(exitUsage, "list", "--limit-upload", "fast")
	s.says("--limit-upload", "whole number")
}
