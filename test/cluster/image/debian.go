package image

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Debian turns Debian packages into trees, with the host's apt and its sources.
type Debian struct {
	// Dir keeps the downloaded packages, and apt's database of an empty system.
	Dir string
	// Run runs a command to its end.
	Run func(context.Context, *exec.Cmd) error
}

// Base lists what every image of Debian packages has: a shell and the tools that tests run in containers.
func Base() []string {
	return []string{"base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "findutils", "grep", "gzip", "hostname",
		"libc-bin", "libc6", "login", "mawk", "passwd", "procps", "sed", "tar", "util-linux"}
}

// Tree returns the files of packages and of everything that they depend on.
func (d Debian) Tree(ctx context.Context, packages ...string) (*Tree, error) {
	if err := d.prepare(); err != nil {
		return nil, err
	}
	if _, err := d.apt(ctx, append([]string{"--download-only", "install"}, packages...)...); err != nil {
		return nil, err
	}
	plan, err := d.apt(ctx, append([]string{"--simulate", "install"}, packages...)...)
	if err != nil {
		return nil, err
	}
	tree := NewTree()
	tree.UserLinks()
	for _, file := range archives(plan) {
		if err := d.merge(ctx, tree, file); err != nil {
			return nil, err
		}
	}
	tree.finish()
	return tree, nil
}

func (d Debian) prepare() error {
	if err := os.MkdirAll(filepath.Join(d.Dir, "archives", "partial"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.Dir, "status"), nil, 0o644)
}

// apt runs apt-get as if nothing were installed.
func (d Debian) apt(ctx context.Context, args ...string) (string, error) {
	options := []string{
		"Dir::State::status=" + filepath.Join(d.Dir, "status"),
		"Dir::Cache::archives=" + filepath.Join(d.Dir, "archives"),
		"APT::Install-Recommends=false", "APT::Sandbox::User=root", "Debug::NoLocking=1",
	}
	argv := []string{"--assume-yes", "--quiet"}
	for _, o := range options {
		argv = append(argv, "--option", o)
	}
	cmd := exec.Command("apt-get", append(argv, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := d.Run(ctx, cmd); err != nil {
		return "", fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String(), nil
}

// archives reads the file names of the packages that a simulation would install: "Inst libc6 (2.36-9 Debian:12/stable
// [amd64])" is libc6_2.36-9_amd64.deb, with an epoch's colon escaped. They are in the order of the simulation.
func archives(plan string) []string {
	var names []string
	for line := range strings.Lines(plan) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[0] != "Inst" {
			continue
		}
		open := strings.Index(line, "(")
		end := strings.LastIndex(line, ")")
		if open < 0 || end < open {
			continue
		}
		inside := strings.Fields(line[open+1 : end])
		architecture := strings.Trim(inside[len(inside)-1], "[]")
		version := strings.ReplaceAll(inside[0], ":", "%3a")
		names = append(names, fields[1]+"_"+version+"_"+architecture+".deb")
	}
	return names
}

func (d Debian) merge(ctx context.Context, tree *Tree, file string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", filepath.Join(d.Dir, "archives", file))
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", file, err, problems.String())
	}
	if err := tree.Merge(&out, unneeded); err != nil {
		return fmt.Errorf("unpack %s: %w", file, err)
	}
	return nil
}

// unneeded says which files of a package no container needs.
func unneeded(name string) bool {
	for _, dir := range []string{"doc", "man", "info", "locale", "lintian", "bug", "common-licenses"} {
		if name == "usr/share/"+dir || strings.HasPrefix(name, "usr/share/"+dir+"/") {
			return true
		}
	}
	return strings.HasPrefix(name, "lib/systemd") || strings.HasPrefix(name, "usr/lib/systemd")
}

// finish adds what the packages' scripts would have made.
func (t *Tree) finish() {
	for _, file := range []string{"passwd", "group"} {
		if master := t.Read("usr/share/base-passwd/" + file + ".master"); master != nil {
			t.File("etc/"+file, 0o644, master)
		}
	}
	if t.Has("usr/bin/mawk") && !t.Has("usr/bin/awk") {
		t.Link("usr/bin/awk", "mawk")
	}
	if !t.Has("usr/bin/sh") {
		t.Link("usr/bin/sh", "dash")
	}
	for _, dir := range []string{"dev", "proc", "sys", "run", "data"} {
		t.Dir(dir, 0o755)
	}
	t.Dir("tmp", 0o1777)
}
