package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The supervisor takes every child of this process, so no test here may use os/exec, and one supervisor is alive at a time.

func newSupervisor(t *testing.T) *Supervisor {
	t.Helper()
	return NewSupervisor(t.Context(), t.TempDir())
}

func TestRun(t *testing.T) {
	s := newSupervisor(t)
	if err := s.RunInput(t.Context(), []byte("exit 0\n"), "sh"); err != nil {
		t.Error(err)
	}
	err := s.Run(t.Context(), "sh", "-c", "echo what happened >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "what happened") {
		t.Errorf("a command that fails: %v", err)
	}
	if err := s.Run(t.Context(), "/no/such/program"); err == nil {
		t.Error("a program that is not there runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Run(ctx, "sleep", "60"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command that is too slow: %v", err)
	}
}

// TestFailureNamesComponentAndLog: readers of the error have to know where to look.
func TestFailureNamesComponentAndLog(t *testing.T) {
	s := newSupervisor(t)
	p, err := s.Start("etcd", []string{"sh", "-c", "echo starting; echo disk is full; exit 2"})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Await(t.Context(), time.Minute, func(context.Context) error { return errors.New("refused") })
	var failure *Failure
	if !errors.As(err, &failure) || failure.Component != "etcd" || failure.Log != filepath.Join(s.logs, "etcd.log") {
		t.Fatalf("%#v", err)
	}
	for _, part := range []string{"etcd", "exit status 2", "etcd.log", "disk is full"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message lacks %q: %s", part, err)
		}
	}
	if s.Find("etcd") != p || s.Find("other") != nil {
		t.Error("components are not found by their names")
	}
}

func TestAwait(t *testing.T) {
	s := newSupervisor(t)
	p, err := s.Start("server", []string{"sleep", "60"})
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	err = p.Await(t.Context(), time.Minute, func(context.Context) error {
		if asked++; asked < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	err = p.Await(t.Context(), 100*time.Millisecond, func(context.Context) error { return errors.New("connection refused") })
	if err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), "100ms") {
		t.Errorf("too late: %v", err)
	}
	p.Signal(syscall.SIGKILL)
	<-p.Done()
	if err := p.Ended(); !strings.Contains(err.Error(), "killed") {
		t.Errorf("killed: %v", err)
	}
	p.Signal(syscall.SIGKILL) // another process may have its number by now
}

// TestOrphans: the supervisor also waits for a grandchild whose parent has ended.
func TestOrphans(t *testing.T) {
	const subreaper = 36 // PR_SET_CHILD_SUBREAPER: orphans below us become our children
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, subreaper, 1, 0); errno != 0 {
		t.Fatal(errno)
	}
	s := newSupervisor(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	if err := s.Run(t.Context(), "sh", "-c", "sleep 0.2 >/dev/null 2>&1 & echo $! > "+pidFile); err != nil {
		t.Fatal(err)
	}
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); errors.Is(err, os.ErrNotExist) {
			return
		}
		select {
		case <-deadline:
			t.Fatal("the orphan is still listed")
		case <-tick.C:
		}
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if got := Tail(path); got != "" {
		t.Errorf("no log: %q", got)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("a line\n", 5000)+"the last\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(Tail(path), "\n")
	if len(got) != tailLines || got[len(got)-1] != "the last" {
		t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
	}
}
