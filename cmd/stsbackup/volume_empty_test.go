package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/internal/volume"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// savedVolume is a shell with a backup of a directory that holds one file.
func savedVolume(t *testing.T) *shell {
	t.Helper()
	s := volumeShell(t)
	source := t.TempDir()
	past := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	for name, text := range map[string]string{"file": "data", "other": "more"} {
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(source, past, past); err != nil {
		t.Fatal(err)
	}
	s.run(exitDone, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0")
	return s
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return strings.Join(all, " ")
}

func TestRestoreIntoEmpty(t *testing.T) {
	tests := map[string]struct {
		files []string
		code  int
		want  string
	}{
		"empty":                            {nil, exitDone, "file other"},
		"a fresh filesystem":               {[]string{"lost+found/"}, exitDone, "file lost+found other"},
		"somebody's data":                  {[]string{"precious"}, exitFailed, "precious"},
		"somebody's data of the same name": {[]string{"file"}, exitFailed, "file"},
		"a mark that says nothing":         {[]string{archive.RestoringMark, "file"}, exitFailed, archive.RestoringMark + " file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := savedVolume(t)
			dir := t.TempDir()
			for _, name := range test.files {
				path := filepath.Join(dir, name)
				var err error
				if strings.HasSuffix(name, "/") {
					err = os.Mkdir(path, 0o700)
				} else {
					err = os.WriteFile(path, []byte("precious"), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			s.run(test.code, "volume", "restore", "demo/web", dir, "--claim", "www-web-0", "--into-empty")
			if got := names(t, dir); got != test.want {
				t.Errorf("the directory holds %s, want %s", got, test.want)
			}
			if test.code != exitDone {
				for _, name := range test.files {
					if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != "precious" {
						t.Errorf("%s holds %q: %v", name, text, err)
					}
				}
				return
			}
			info, err := os.Stat(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.ModTime().UTC().Format(time.RFC3339); got != "2020-02-03T04:05:06Z" {
				t.Errorf("the directory's time is %s", got)
			}
		})
	}
}

// interrupted returns a directory as a restore leaves it that somebody kills before it says that it has ended. more are
// flags of movers.
func (s *shell) interrupted(more ...string) (dir string) {
	s.t.Helper()
	dir = s.t.TempDir()
	mark := filepath.Join(dir, archive.RestoringMark)
	kept := mark + "-kept"
	s.onOutput = func() { // it reports progress while the mark is there
		if data, err := os.ReadFile(mark); err == nil {
			_ = os.WriteFile(kept, data, 0o600) // the end of the test notices
		}
	}
	s.run(exitDone, append([]string{"volume", "restore", "demo/web", dir, "--claim", "www-web-0", "--into-empty", "-o", "json"}, more...)...)
	s.onOutput = nil
	if err := os.Rename(kept, mark); err != nil {
		s.t.Fatal(err)
	}
	return dir
}

// TestInterruptedRestoreBeginsAnew: if the same claim is restored from the same repository again, the restore first
// removes what the interrupted one left.
func TestInterruptedRestoreBeginsAnew(t *testing.T) {
	s := savedVolume(t)
	again := func(code int, dir string, more ...string) {
		t.Helper()
		s.run(code, append([]string{"volume", "restore", "demo/web", dir, "--claim", "www-web-0", "--into-empty"}, more...)...)
	}
	dir := s.interrupted()
	again(exitFailed, dir, "--operation", "mover:cluster:1:demo/web", "--into-claim", "demo/www-web-0")
	s.says("into a directory", "nothing was removed", "find '"+dir+"'", "let another one be used")
	again(exitDone, dir)
	if got := names(t, dir); got != "file other" {
		t.Errorf("the directory holds %s", got)
	}

	first := []string{"--operation", "mover:cluster:1:demo/web", "--into-claim", "demo/www-web-0"}
	second := []string{"--operation", "mover:cluster:2:demo/web", "--into-claim", "demo/www-web-0"}
	dir = s.interrupted(first...)
	again(exitFailed, dir)
	again(exitFailed, dir, second...)
	s.says(`restore "mover:cluster:1:demo/web"`, "this restore does not continue that one")
	again(exitFailed, dir, append(second, "--resumes", "mover:cluster:0:demo/web")...)
	if got := names(t, dir); got != archive.RestoringMark+" file other" {
		t.Errorf("the directory holds %s", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	resume := append(second, "--resumes", "mover:cluster:0:demo/web,mover:cluster:1:demo/web")
	again(exitFailed, dir, resume...)
	s.says(`"new" is not what a restore of repository snapshot`)
	if err := os.Remove(filepath.Join(dir, "new")); err != nil {
		t.Fatal(err)
	}
	again(exitDone, dir, resume...)
	if got := names(t, dir); got != "file other" {
		t.Errorf("the directory holds %s", got)
	}
}

// TestRestoreIsTakenBack: the mover removes what was restored, and keeps what the filesystem needs. The flags are those
// of a mover, except for its directory.
func TestRestoreIsTakenBack(t *testing.T) {
	s := savedVolume(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	snapshots, err := s.repository().Snapshots(t.Context())
	if err != nil || len(snapshots) != 1 {
		t.Fatal(len(snapshots), err)
	}
	c := &volumeRestore{}
	args := contract.RestoreArgs{
		Source: "demo/web", Dir: dir, TakeBack: true, Claim: "www-web-0", RepositorySnapshot: snapshots[0].ID.String(),
		IntoClaim: "demo/www-web-0",
	}
	a := &app{getenv: func(name string) string { return s.env[name] }, now: s.now}
	back := func() error {
		request, err := c.request(a, args)
		if err != nil {
			return err
		}
		return volume.TakeBack(t.Context(), request)
	}
	for range 2 {
		s.run(exitDone, "volume", "restore", "demo/web", dir, "--claim", "www-web-0", "--into-empty")
		if err := back(); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); got != "lost+found" {
			t.Errorf("the directory holds %s", got)
		}
	}
	s.run(exitDone, "volume", "restore", "demo/web", dir, "--claim", "www-web-0", "--into-empty")
	if err := os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := back(); !errors.Is(err, archive.ErrNotOurs) || !strings.Contains(err.Error(), `"precious"`) {
		t.Error(err)
	}
	if got := names(t, dir); got != "file lost+found other precious" {
		t.Errorf("the directory holds %s", got)
	}
	args.RepositorySnapshot = ""
	if err := back(); exitCode(t.Context(), err) != exitUsage {
		t.Errorf("without a repository snapshot: %v", err)
	}
}

// TestTakeBackIsForMovers: the flag empties no directory of a person.
func TestTakeBackIsForMovers(t *testing.T) {
	s := savedVolume(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitUsage, "volume", "restore", "demo/web", dir, "--claim", "www-web-0", "--take-back")
	if got := names(t, dir); got != "precious" {
		t.Errorf("the directory holds %s", got)
	}
}

// TestMarkedVolumeIsBackedUp: the backup of a volume that a restore did not fill to the end is incomplete, and can be
// restored.
func TestMarkedVolumeIsBackedUp(t *testing.T) {
	s := volumeShell(t)
	source := t.TempDir()
	for _, name := range []string{archive.RestoringMark, "file"} {
		if err := os.WriteFile(filepath.Join(source, name), []byte("data"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.run(exitIncomplete, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0")
	s.says(archive.RestoringMark, "has not ended", "restore it again")
	// The same holds for a volume that a restore has really left.
	s.run(exitIncomplete, "volume", "backup", s.interrupted(), "--as", "demo/web", "--claim", "www-web-0")
	s.says(archive.RestoringMark, "has not ended", "restore it again")
	dir := t.TempDir()
	s.run(exitDone, "volume", "restore", "demo/web", dir, "--claim", "www-web-0", "--into-empty")
	if got := names(t, dir); got != "file" {
		t.Errorf("the directory holds %s", got)
	}
}

// TestVolumeRestoreIntoNoDirectory: --into-empty makes its directory, as a restore without it does.
func TestVolumeRestoreIntoNoDirectory(t *testing.T) {
	s := volumeShell(t)
	source := site(t)
	s.run(0, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0")
	target := filepath.Join(t.TempDir(), "not", "there")
	s.run(0, "volume", "restore", "demo/web", target, "--claim", "www-web-0", "--into-empty")
	sameFiles(t, source, target)
}
