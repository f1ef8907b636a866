package cage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain makes this test binary play two parts: the cage, as the harness is its own, and a program that cages another
// and is killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == Verb {
		os.Exit(Inside(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "starter" {
		if err := Run(context.Background(), exec.Command(os.Args[2], os.Args[3:]...)); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	cmd := exec.Command("sh", "-c", "echo $WORD; pwd; exit 3")
	cmd.Env = append(os.Environ(), "WORD=passed on")
	cmd.Dir = t.TempDir()
	cmd.Stdout = &out
	err := Run(t.Context(), cmd)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("exit status: %v", err)
	}
	if want := "passed on\n" + cmd.Dir + "\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	if err := Run(t.Context(), exec.Command("true")); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := Run(ctx, exec.Command("sleep", "60")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too slow: %v", err)
	}
}

// TestKilledStarter kills a program that has caged another, with SIGKILL, which it cannot catch, and looks for the
// other program's children.
func TestKilledStarter(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("without root there is no cage: the program is run directly, which TestRun has shown")
		return
	}
	mark := filepath.Join(t.TempDir(), "a-mark-of-this-test")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	starter := exec.Command(self, "starter", "sh", "-c", "tail -f /dev/null "+mark+" & tail -f /dev/null "+mark)
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	// The starter, the cage, the shell and two programs.
	waitFor(t, mark, func(n int) bool { return n >= 5 })
	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait() // it was killed
	waitFor(t, mark, func(n int) bool { return n == 0 })
}

// waitFor waits until accept agrees with the number of processes that have the mark on their command line.
func waitFor(t *testing.T, mark string, accept func(int) bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, file := range files {
			if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), mark) {
				n++
			}
		}
		if accept(n) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%d processes", n)
		case <-tick.C:
		}
	}
}
