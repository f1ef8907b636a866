package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Mount is where cgroups are mounted.
const Mount = "/sys/fs/cgroup"

// unifiedName is the v2 folder beside mounted v1 controllers. It has no controllers then, so Create makes nothing
// there. But runc does, so Remove looks through it.
const unifiedName = "unified"

// hierarchies returns the folders in which a cgroup root has to be made: one per v1 controller, or the one of v2.
func hierarchies(mount string) (dirs []string, unified bool, err error) {
	if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err == nil {
		return []string{mount}, true, nil
	}
	entries, err := os.ReadDir(mount)
	if err != nil {
		return nil, false, fmt.Errorf("list cgroup controllers: %w", err)
	}
	for _, e := range entries {
		// Controllers that share a tree ("cpu,cpuacct") have links beside it, which are not folders.
		if e.IsDir() && e.Name() != unifiedName {
			dirs = append(dirs, filepath.Join(mount, e.Name()))
		}
	}
	return dirs, false, nil
}

// Create makes a cgroup, given as a path below every hierarchy, with its parents.
func Create(path string) error { return create(Mount, path) }

func create(mount, path string) error {
	dirs, unified, err := hierarchies(mount)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		for _, name := range strings.Split(strings.Trim(path, "/"), "/") {
			parent := dir
			dir = filepath.Join(dir, name)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("make cgroup: %w", err)
			}
			if err := enable(parent, dir, unified); err != nil {
				return fmt.Errorf("make cgroup %s: %w", dir, err)
			}
		}
	}
	return nil
}

// enable makes a new cgroup usable for the pods below it.
func enable(parent, dir string, unified bool) error {
	if unified {
		controllers, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers"))
		if err != nil {
			return err
		}
		on := "+" + strings.Join(strings.Fields(string(controllers)), " +")
		return os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte(on), 0o644)
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		data, err := os.ReadFile(filepath.Join(parent, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue // not the cpuset controller
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes a cgroup and everything below it from every hierarchy. It waits until the cgroup's processes have gone
// or the context ends.
func Remove(ctx context.Context, path string) error { return remove(ctx, Mount, path) }

func remove(ctx context.Context, mount, path string) error {
	dirs, _, err := hierarchies(mount)
	if err != nil {
		return err
	}
	dirs = append(dirs, filepath.Join(mount, unifiedName))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var left error
		for _, dir := range dirs {
			left = errors.Join(left, removeTree(filepath.Join(dir, path)))
		}
		if left == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove cgroup %s: %w", path, left)
		case <-tick.C:
		}
	}
}

// removeTree removes the folders of a cgroup from the leaves up; the files in them are the kernel's and go with them.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
