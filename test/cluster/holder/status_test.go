package holder

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	// The name of a program may look like the rest of the line.
	stat := "42 (a) S (b) R 1 42 42 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 98765 1000 10 184"
	started, state, err := parseStat(stat)
	if err != nil || started != 98765 || state != "R" {
		t.Errorf("%d, %q, %v", started, state, err)
	}
	if _, _, err := parseStat("42 (a) R 1"); err == nil {
		t.Error("a short line is taken")
	}
}

func TestStatus(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status.json")
	if _, err := ReadStatus(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	want := Status{PID: 1, Started: 2, Ready: true, Ended: map[string]string{"etcd": "exit status 1"}, API: "127.0.0.1:1", S3: "127.0.0.1:2"}
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadStatus(path)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// TestAlive looks at a process before and after its end, and at another process with the same number.
func TestAlive(t *testing.T) {
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	started, _, err := startTime(fmt.Sprintf("/proc/%d/stat", sleep.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	s := Status{PID: sleep.Process.Pid, Started: started}
	expect := func(s Status, alive, reaped bool) {
		t.Helper()
		gotAlive, err1 := s.Alive()
		gotReaped, err2 := s.Reaped()
		if err1 != nil || err2 != nil || gotAlive != alive || gotReaped != reaped {
			t.Errorf("alive %v, reaped %v, %v", gotAlive, gotReaped, errors.Join(err1, err2))
		}
	}
	expect(s, true, false)
	expect(Status{PID: s.PID, Started: started + 1}, false, true)
	expect(Status{}, false, true)
	if err := sleep.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = sleep.Wait() // it was killed
	expect(s, false, true)
}
