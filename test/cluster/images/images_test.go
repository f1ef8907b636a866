package images

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// TestArchiveIsBuiltOnce counts how often an archive's images are made.
func TestArchiveIsBuiltOnce(t *testing.T) {
	var out bytes.Buffer
	b := Builder{Layout: spec.Layout{Dir: t.TempDir()}, Out: &out, Now: time.Now}
	made := 0
	build := func(key string) {
		t.Helper()
		err := b.archive("10-test", key, func() (map[string]v1.Image, error) {
			made++
			return map[string]v1.Image{"test:1": empty.Image}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	build("one")
	build("one")
	if made != 1 {
		t.Errorf("made %d times with one key", made)
	}
	build("two")
	if made != 2 {
		t.Errorf("made %d times with two keys", made)
	}
	if err := os.Remove(b.path("10-test")); err != nil {
		t.Fatal(err)
	}
	build("two")
	if made != 3 {
		t.Errorf("made %d times although the archive was lost", made)
	}
}

// TestNginxNeedsNoRoot: nginx writes only below /tmp or to a stream.
func TestNginxNeedsNoRoot(t *testing.T) {
	for line := range strings.Lines(nginxConfig) {
		fields := strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), ";"))
		if len(fields) < 2 {
			continue
		}
		if name := fields[0]; name == "pid" || strings.HasSuffix(name, "_temp_path") || strings.HasSuffix(name, "_log") {
			if !strings.HasPrefix(fields[1], "/tmp/") && !strings.HasPrefix(fields[1], "/dev/std") {
				t.Errorf("it writes to %s", fields[1])
			}
		}
	}
}
