package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// root is the directory that holds the shell's repositories.
func (s *shell) root() string { return strings.TrimPrefix(s.env["STSBACKUP_REPO"], "file://") }

// catalog opens the catalog that the shell's commands work on.
func (s *shell) catalog() *catalog.Catalog {
	s.t.Helper()
	bucket, err := local.Open(local.Config{Dir: s.root()})
	if err != nil {
		s.t.Fatal(err)
	}
	points, err := catalog.Open(s.ctx, bucket, "demo", "web", catalog.Password(repository.Secret(s.env["STSBACKUP_PASSWORD"]), "demo", "web"))
	if err != nil {
		s.t.Fatal(err)
	}
	return points
}

func (s *shell) repository() *repository.Repository { return s.catalog().Repository() }

// point makes a recovery point of demo/web with one volume.
func (s *shell) point(at time.Time, suffix, dir string) string {
	s.t.Helper()
	id := at.UTC().Format("20060102T150405Z") + "-" + suffix
	var saved archive.Result
	decode(
		s.t,
		s.run(0, "volume", "backup", dir, "--as", "demo/web", "--claim", "www-web-0", "--ordinal", "0", "--recovery-point", id, "-o", "json"),
		&saved,
	)
	points := s.catalog()
	err := points.Commit(s.ctx, catalog.Record{
		ID:          catalog.RecoveryPointID(id),
		State:       catalog.StateComplete,
		Cluster:     "c",
		Namespace:   "demo",
		StatefulSet: "web",
		Started:     at,
		Finished:    at.Add(time.Minute),
		Replicas:    1,
		Volumes:     []catalog.Volume{{Claim: "www-web-0", Capture: catalog.CaptureLive, Cut: at, RepositorySnapshot: saved.RepositorySnapshot}},
	}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// onePack is some pack of the repository.
func (s *shell) onePack() string {
	s.t.Helper()
	packs, err := filepath.Glob(filepath.Join(s.root(), "demo/web/data/*/*"))
	if err != nil || len(packs) == 0 {
		s.t.Fatalf("packs: %v, %v", packs, err)
	}
	return packs[0]
}

func TestVerifyCommand(t *testing.T) {
	s := volumeShell(t)
	first := s.point(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "0001", site(t))
	s.point(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), "0002", site(t))

	if out := s.run(0, "verify", "demo/web"); !strings.Contains(out, first+"  complete  1        ok") ||
		!strings.Contains(out, "0 packs (0 B) read") {
		t.Errorf("output:\n%s", out)
	}
	var result catalog.Verification
	decode(t, s.run(0, "verify", "demo/web@"+first, "--read-data", "-o", "json"), &result)
	if len(result.Points) != 1 || result.Repository.PacksRead != result.Repository.Packs || result.Repository.PacksRead == 0 {
		t.Errorf("%+v", result)
	}
	decode(t, s.run(0, "verify", "demo/web", "--read-data=1%", "-o", "json"), &result)
	if result.Repository.PacksRead != 1 {
		t.Errorf("one per cent: %+v", result)
	}

	pack := s.onePack()
	if err := os.Truncate(pack, 50); err != nil {
		t.Fatal(err)
	}
	out := s.run(exitFailed, "verify", "demo/web")
	s.says("found damage", "demo/web")
	if !strings.Contains(out, filepath.Base(pack)) {
		t.Errorf("the result does not name the pack:\n%s", out)
	}
	decode(t, s.run(exitFailed, "verify", "demo/web", "-o", "json"), &result)
	if result.OK() {
		t.Errorf("%+v", result)
	}
}

// TestVerifySaysThingsOnce damages each object in turn.
func TestVerifySaysThingsOnce(t *testing.T) {
	s := volumeShell(t)
	s.point(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "0001", site(t))
	once := func(out string) {
		t.Helper()
		for line := range strings.Lines(out) {
			if !strings.HasPrefix(line, "damaged: ") {
				continue
			}
			if strings.Contains(line, `\"`) {
				t.Errorf("quoted twice: %s", line)
			}
			for _, id := range regexp.MustCompile("[0-9a-f]{64}").FindAllString(line, -1) {
				if strings.Count(line, id) > 1 {
					t.Errorf("%.8s is named more than once: %s", id, line)
				}
			}
		}
	}
	names := 0
	for name, content := range files(t, s.root()) {
		if !strings.Contains(name, "/snapshots/") && !strings.Contains(name, "/index/") && !strings.Contains(name, "/data/") {
			continue
		}
		names++
		path := filepath.Join(s.root(), name)
		if err := os.Truncate(path, int64(len(content)/2)); err != nil {
			t.Fatal(err)
		}
		once(s.run(exitFailed, "verify", "demo/web", "--read-data"))
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if names < 6 {
		t.Errorf("%d objects were damaged", names)
	}
}

func TestVerifyUsage(t *testing.T) {
	s := volumeShell(t)
	s.point(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "0001", site(t))
	for _, share := range []string{"5", "0%", "101%", "-1%", "NaN%", "x%"} {
		s.run(exitUsage, "verify", "demo/web", "--read-data="+share)
		s.says("is not a share")
	}
	s.run(exitUsage, "verify")
	s.run(exitNotFound, "verify", "demo/web@2020")
	s.run(exitNotFound, "verify", "demo/other")
}
