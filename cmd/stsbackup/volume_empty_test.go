package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
		"what a killed restore has left":   {[]string{restoringMark, "file", "half/", "lost+found/"}, exitDone, "file lost+found other"},
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

// TestRestoreIsTakenBack: what was restored is removed, what the filesystem needs is not.
func TestRestoreIsTakenBack(t *testing.T) {
	s := savedVolume(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, lostAndFound), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.run(exitDone, "volume", "restore", "demo/web", dir, "--claim", "www-web-0", "--into-empty")
		if err := emptyDir(dir); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); got != lostAndFound {
			t.Errorf("the directory holds %s", got)
		}
	}
}

// TestTakeBackIsForMovers: the flag empties no directory of a person's.
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

// TestUnfinishedRestoreIsMarked: a restore that fails half-way leaves the mark, and the next one begins anew.
func TestUnfinishedRestoreIsMarked(t *testing.T) {
	dir := t.TempDir()
	if _, err := takeEmpty(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "half"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done, err := takeEmpty(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != restoringMark {
		t.Errorf("the directory holds %s", got)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("the directory holds %s", got)
	}
}

// TestMarkedVolumeIsBackedUp: the backup of a volume that was not filled to its end is incomplete, and can be restored.
func TestMarkedVolumeIsBackedUp(t *testing.T) {
	s := volumeShell(t)
	source, dir := t.TempDir(), t.TempDir()
	for _, name := range []string{restoringMark, "file"} {
		if err := os.WriteFile(filepath.Join(source, name), []byte("data"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.run(exitIncomplete, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0")
	s.says(restoringMark, "has not ended", "restore it again")
	for range 2 {
		s.run(exitDone, "volume", "restore", "demo/web", dir, "--claim", "www-web-0", "--into-empty")
		if got := names(t, dir); got != "file" {
			t.Errorf("the directory holds %s", got)
		}
		if err := emptyDir(dir); err != nil {
			t.Fatal(err)
		}
	}
}
