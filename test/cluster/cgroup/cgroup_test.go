package cgroup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// v1 makes folders that look like mounted v1 controllers.
func v1(t *testing.T) string {
	t.Helper()
	mount := t.TempDir()
	for _, dir := range []string{"memory", "cpuset", "unified"} {
		if err := os.Mkdir(filepath.Join(mount, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if err := os.WriteFile(filepath.Join(mount, "cpuset", file), []byte("0-1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return mount
}

func TestCreate(t *testing.T) {
	mount := v1(t)
	for range 2 { // the second time everything is there
		if err := create(mount, "/name/node-a"); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"memory/name/node-a", "cpuset/name/node-a"} {
		if _, err := os.Stat(filepath.Join(mount, dir)); err != nil {
			t.Error(err)
		}
	}
	if data, err := os.ReadFile(filepath.Join(mount, "cpuset/name/node-a/cpuset.cpus")); err != nil || string(data) != "0-1\n" {
		t.Errorf("processors of a new cpuset: %q, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(mount, "unified/name")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cgroup was made in the tree without controllers: %v", err)
	}
}

func TestRemove(t *testing.T) {
	mount := v1(t)
	// runc makes these below the root, even if there is no controller.
	for _, dir := range []string{"memory/name/node-a/kubepods/pod1", "unified/name/node-a"} {
		if err := os.MkdirAll(filepath.Join(mount, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time nothing is there
		if err := remove(t.Context(), mount, "/name"); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"memory/name", "unified/name"} {
		if _, err := os.Stat(filepath.Join(mount, dir)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// TestRemoveBusy: a cgroup with something in it cannot be removed, and the error says which one.
func TestRemoveBusy(t *testing.T) {
	mount := v1(t)
	busy := filepath.Join(mount, "memory/name")
	if err := os.MkdirAll(busy, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(busy, "process"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := remove(ctx, mount, "/name"); err == nil {
		t.Error("a busy cgroup counts as removed")
	}
}
