package main

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/internal/upkeep"
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
	var planned, done upkeep.PruneResult
	decode(t, s.run(0, "prune", "demo/web", "--dry-run", "-o", "json"), &planned)
	if left := files(t, filepath.Join(s.root(), "demo/web/data")); len(left) != len(packs) || !planned.DryRun || planned.PacksRemoved == 0 {
		t.Errorf("dry run: %d packs of %d, %+v", len(left), len(packs), planned)
	}
	decode(t, s.run(0, "prune", "demo/web", "-o", "json"), &done)
	if left := files(t, filepath.Join(s.root(), "demo/web/data")); len(left) >= len(packs) || done.PacksRemoved != planned.PacksRemoved ||
		len(done.Leftovers) != 0 {
		t.Errorf("prune: %d packs of %d, %+v", len(left), len(packs), done)
	}
	var result catalog.Verification
	decode(t, s.run(0, "verify", "demo/web", "--read-data", "-o", "json"), &result)
	if len(result.Points) != 1 || string(result.Points[0].ID) != second || result.Repository.Unindexed != 0 {
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
	s.run(exitRefused, "prune", "demo/web", "--retry-lock", "0")
	s.says("locked", "wait")
	s.run(exitRefused, "prune", "demo/web", "--retry-lock", "1ms")
	s.says("Waiting up to 1ms for the repository of demo/web", "waited 1ms")
	s.run(exitRefused, "forget", "demo/web@"+id, "--retry-lock", "0")
	s.run(exitUsage, "prune", "demo/web", "--retry-lock", "-1s")
	s.run(0, "prune", "demo/web", "--dry-run")
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.run(0, "prune", "demo/web")
}

// TestVolumeBackupWaits for somebody who removes data, and says so where the engine that runs it reads.
func TestVolumeBackupWaits(t *testing.T) {
	s := volumeShell(t)
	s.point(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "0001", site(t))
	lock, err := s.repository().LockExclusive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	save := []string{"volume", "backup", site(t), "--as", "demo/web", "--claim", "www-web-0"}
	s.run(exitRefused, append(save, "--retry-lock", "0")...)
	s.says("locked exclusively")
	var once sync.Once
	s.onOutput = func() {
		once.Do(func() {
			if err := lock.Release(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	out := s.run(0, append(save, "--result-file", filepath.Join(t.TempDir(), "result"), "--retry-lock", "5m")...)
	line, _, _ := strings.Cut(out, "\n")
	if reason := mover.Waiting([]byte(line)); !strings.HasPrefix(
		reason,
		"Waiting up to 5m0s for the repository of demo/web: repository is locked exclusively by",
	) {
		t.Errorf("%q", out)
	}
}

// TestPruneAndVerifySeveral: the commands handle each StatefulSet, whatever happens to the others.
func TestPruneAndVerifySeveral(t *testing.T) {
	s := newKeeper(t)
	s.run(0, "volume", "backup", site(t), "--as", "other/db", "--claim", "data-db-0")
	verified := documents[upkeep.VerifyResult](t, s.run(0, "verify", "--all", "-A", "-o", "json"))
	if len(verified) != 2 || verified[0].Namespace+verified[0].StatefulSet != "demoweb" || len(verified[0].Points) != len(s.ids) ||
		verified[1].StatefulSet != "db" {
		t.Errorf("%+v", verified)
	}
	if out := s.run(0, "verify", "--all", "-n", "demo"); strings.Contains(out, "demo/web:") || strings.Contains(out, "other/db") {
		t.Error(out)
	}
	if out := s.run(exitNotFound, "prune", "demo/web", "demo/none", "other/db"); !strings.Contains(out, "demo/web:\n") ||
		!strings.Contains(out, "other/db:\n") {
		t.Error(out)
	}
	s.says("demo/none has no backup here", "1 of 3 StatefulSets failed")
	pruned := documents[upkeep.PruneResult](t, s.run(0, "prune", "--all", "--all-namespaces", "-o", "json"))
	if len(pruned) != 2 || pruned[1].Namespace != "other" || pruned[0].Snapshots == 0 {
		t.Errorf("%+v", pruned)
	}
	// A command that runs every night must not succeed while it looks in the wrong place.
	for _, command := range [][]string{{"prune"}, {"verify"}, {"verify", "-o", "json"}, {"forget", "--keep-last", "3"}} {
		s.run(exitNotFound, append(command, "--all", "-n", "empty")...)
		s.says("none of the 2 repositories below "+s.env["STSBACKUP_REPO"]+" belongs to namespace empty", "with -n, or take all with -A")
	}
	s.env["STSBACKUP_REPO"] = "file://" + t.TempDir()
	for _, command := range [][]string{{"prune"}, {"verify"}, {"forget", "--keep-last", "3"}} {
		s.run(exitNotFound, append(command, "--all", "-A")...)
		s.says("nothing has been backed up below "+s.env["STSBACKUP_REPO"], "check --repo")
	}
	for _, args := range [][]string{
		{"prune"}, {"verify"}, {"prune", "-A"}, {"verify", "demo/web", "--all"}, {"prune", "demo/web@latest", "other/db"},
	} {
		s.run(exitUsage, args...)
	}
}
