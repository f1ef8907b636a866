package loopdev

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDetachesByItself attaches a file, finds it by path and by tag, and closes it.
func TestDetachesByItself(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("loop devices need root; the lifecycle test, which does too, shows the same")
		return
	}
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	tag := fmt.Sprintf("stsbackup-test-%d/", os.Getpid())
	device, err := Attach(path, tag+"vol-1")
	if err != nil {
		t.Fatal(err)
	}
	if of, err := Of(path); err != nil || of != device.Name() {
		t.Errorf("the device of %s is %q, %v; not %s", path, of, err, device.Name())
	}
	stacked, err := Attach(device.Name(), "of somebody else")
	if err != nil {
		t.Fatal(err)
	}
	tagged, err := Tagged(tag)
	if diff := cmp.Diff([]string{stacked.Name(), device.Name()}, tagged); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if err := stacked.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 2<<20); err != nil {
		t.Fatal(err)
	}
	if err := Resize(device); err != nil {
		t.Error(err)
	}
	name := device.Name()
	if err := device.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		of, err := Of(path)
		if err != nil {
			t.Fatal(err)
		}
		if of == "" {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("%s is still attached", of)
		case <-tick.C:
		}
	}
	if err := Detach(name); err != nil {
		t.Errorf("detaching what is detached: %v", err)
	}
}
