package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// TestForgetAndPrune goes from three recovery points, one of them interrupted, to one.
func TestForgetAndPrune(t *testing.T) {
	s := volumeShell(t)
	kept := site(t)
	first := s.point(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "0001", site(t))
	second := s.point(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), "0002", kept)
	s.run(0, "volume", "backup", t.TempDir(), "--as", "demo/web", "--claim", "www-web-0", "--recovery-point", "20261121T100000Z-dead")

	for _, args := range [][]string{{"demo/web"}, {"demo/web@"}, {"demo/web@latest"}, {"demo/web@" + first, "demo/db@" + first}, {}} {
		s.run(exitUsage, append([]string{"forget"}, args...)...)
	}
	s.run(exitNotFound, "forget", "demo/web@2020")
	s.run(exitNotFound, "forget", "demo/web@2026112")
	s.says("could be any of", first, second)
	s.run(exitUsage, "prune", "demo/web@"+first)

	s.run(0, "prune", "demo/web", "--dry-run")
	s.says("20261121T100000Z-dead", "stsbackup forget demo/web@")
	if out := s.run(0, "forget", "demo/web@"+first, "demo/web@20261121T10"); !strings.Contains(out, "forgot recovery point "+first) ||
		!strings.Contains(out, "forgot what was left of recovery point 20261121T100000Z-dead") {
		t.Error(out)
	}
	s.run(exitNotFound, "show", "demo/web@"+first)

	packs := files(t, filepath.Join(s.root(), "demo/web/data"))
	var planned, done pruneResult
	decode(t, s.run(0, "prune", "demo/web", "--dry-run", "-o", "json"), &planned)
	if left := files(t, filepath.Join(s.root(), "demo/web/data")); len(left) != len(packs) || !planned.DryRun || planned.PacksRemoved == 0 {
		t.Errorf("dry run: %d packs of %d, %+v", len(left), len(packs), planned)
	}
	decode(t, s.run(0, "prune", "demo/web", "-o", "json"), &done)
	if left := files(t, filepath.Join(s.root(), "demo/web/data")); len(left) >= len(packs) || done.PacksRemoved != planned.PacksRemoved || len(done.Leftovers) != 0 {
		t.Errorf("prune: %d packs of %d, %+v", len(left), len(packs), done)
	}
	var result catalog.Verification
	decode(t, s.run(0, "verify", "demo/web", "--read-data", "-o", "json"), &result)
	if len(result.Points) != 1 || result.Points[0].ID != second || result.Repository.Unindexed != 0 {
		t.Errorf("%+v", result)
	}
	target := t.TempDir()
	s.run(0, "volume", "restore", "demo/web@latest", target, "--claim", "www-web-0")
	sameFiles(t, kept, target)
}

func TestPruneIsRefusedWhileSomeoneWorks(t *testing.T) {
	s := volumeShell(t)
	id := s.point(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "0001", site(t))
	lock, err := s.repository().Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.run(exitRefused, "prune", "demo/web")
	s.says("locked", "wait")
	s.run(exitRefused, "forget", "demo/web@"+id)
	s.run(0, "prune", "demo/web", "--dry-run")
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.run(0, "prune", "demo/web")
}
