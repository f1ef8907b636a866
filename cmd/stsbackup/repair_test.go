package main

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// TestRepairCommand follows the runbook: damage, verify, repair, backup, verify, and forget what is still damaged.
func TestRepairCommand(t *testing.T) {
	s := volumeShell(t)
	dir := site(t)
	first := s.point(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "0001", dir)
	damage := func(pattern string) {
		t.Helper()
		matches, err := filepath.Glob(filepath.Join(s.root(), "demo/web", pattern))
		if err != nil || len(matches) == 0 {
			t.Fatalf("%s: %v, %v", pattern, matches, err)
		}
		for _, name := range matches {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			data[25] ^= 1
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	damage("data/*/*")
	s.run(exitFailed, "verify", "demo/web", "--read-data")
	s.says("stsbackup repair")
	if out := s.run(0, "repair", "demo/web", "--dry-run"); !strings.Contains(out, "packs are damaged") || !strings.Contains(out, "would be") {
		t.Error(out)
	}
	s.run(exitFailed, "verify", "demo/web", "--read-data")
	s.run(0, "repair", "demo/web")
	s.says("stsbackup backup demo/web")
	second := s.point(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), "0002", dir)
	s.run(exitFailed, "verify", "demo/web", "--read-data") // a backup does not bring back the record of the first one
	s.run(0, "verify", "demo/web@"+second, "--read-data")
	s.run(0, "forget", "demo/web@"+first)
	s.run(0, "prune", "demo/web")
	s.run(0, "verify", "demo/web", "--read-data")

	damage("index/*")
	s.run(exitFailed, "list", "demo/web")
	s.run(0, "repair", "demo/web")
	var result catalog.Verification
	decode(t, s.run(0, "verify", "demo/web", "--read-data", "-o", "json"), &result)
	if len(result.Points) != 1 || string(result.Points[0].ID) != second {
		t.Errorf("%+v", result)
	}
	target := t.TempDir()
	s.run(0, "volume", "restore", "demo/web@"+second, target, "--claim", "www-web-0")
	sameFiles(t, dir, target)

	damage("snapshots/*")
	s.run(exitFailed, "prune", "demo/web")
	s.says("stsbackup repair")
	if out := s.run(0, "repair", "demo/web"); !strings.Contains(out, "--forget-damaged") {
		t.Error(out)
	}
	if out := s.run(0, "repair", "demo/web", "--forget-damaged"); strings.Count(out, "is damaged: removed") != 2 {
		t.Error(out)
	}
	s.run(0, "prune", "demo/web")
	s.run(0, "verify", "demo/web", "--read-data")
}

// TestRepairOnATerminal: repair ends the line that counts packs, and prints no line end if there is no such line.
func TestRepairOnATerminal(t *testing.T) {
	s := volumeShell(t)
	s.point(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "0001", site(t))
	for name, want := range map[string]string{"web": "packs read\n", "none": "stsbackup: "} {
		var out, text bytes.Buffer
		a := &app{
			in: strings.NewReader(""), out: &out, err: &text, terminal: true,
			getenv: func(name string) string { return s.env[name] }, now: s.now, random: rand.Reader, version: "test",
		}
		execute(t.Context(), a, []string{"repair", "demo/" + name})
		if !strings.Contains(text.String(), want) || strings.HasPrefix(text.String(), "\n") {
			t.Errorf("repair of %s says %q, want %q", name, &text, want)
		}
	}
}
