package cluster

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

func TestDownWithoutAStateFolder(t *testing.T) {
	c, err := spec.New(filepath.Join("/tmp", "stsbackup-no-such-folder"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (Harness{Spec: c, Out: &out, Now: time.Now}).Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "no cluster") {
		t.Errorf("it says %q", out.String())
	}
	if _, err := os.Stat(c.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking for a cluster has made its folder: %v", err)
	}
}

func TestStatusWithoutACluster(t *testing.T) {
	c, err := spec.New("/state")
	if err != nil {
		t.Fatal(err)
	}
	c.Dir = t.TempDir()
	var out bytes.Buffer
	if err := (Harness{Spec: c, Out: &out}).Status(); !errors.Is(err, ErrNotReady) || !strings.Contains(out.String(), "down") {
		t.Errorf("%v, %q", err, out.String())
	}
}
