package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// TestVolumeChanges removes a file after the backup has begun to read others. The backup is complete, and names the
// file to people and to whoever runs a mover.
func TestVolumeChanges(t *testing.T) {
	s := volumeShell(t)
	file := filepath.Join(t.TempDir(), "termination-log")
	for _, more := range [][]string{nil, {"--result-file", file}} {
		source := site(t)
		last := filepath.Join(source, "zz\tlast")
		if err := os.WriteFile(last, []byte("soon gone"), 0o644); err != nil {
			t.Fatal(err)
		}
		s.onOutput = func() { _ = os.Remove(last) } // the first progress line comes with the first file
		s.run(exitDone, append([]string{"volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0"}, more...)...)
		if more == nil {
			s.says("saved as they were found: 1 file\n", `"zz\tlast: vanished removed before it could be read`)
		}
	}
	var result archive.Result
	decode(t, read(t, file), &result)
	if result.ChangeCount != 1 || len(result.Changes) != 1 || result.Changes[0].Path != "zz\tlast" ||
		result.Changes[0].Kind != archive.Vanished {
		t.Errorf("the result of a mover: %+v", result)
	}
}
