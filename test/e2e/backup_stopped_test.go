//go:build e2e

package e2e

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a running stsbackup.
type process struct {
	s   *scenario
	cmd *exec.Cmd
	// stderr is its standard error, and lines are the lines from it; closed at its end.
	stderr io.Closer
	lines  chan string
	said   strings.Builder
}

// start runs stsbackup without waiting for it.
func (s *scenario) start(args ...string) *process {
	s.t.Helper()
	p := &process{s: s, cmd: s.Command(s.ctx, args...), lines: make(chan string, 1000)}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	p.stderr = stderr
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for text := bufio.NewScanner(stderr); text.Scan(); {
			p.lines <- text.Text()
		}
	}()
	return p
}

// until waits for a line that contains text.
func (p *process) until(text string) {
	p.s.t.Helper()
	for line := range p.lines {
		p.said.WriteString(line + "\n")
		if strings.Contains(line, text) {
			return
		}
	}
	p.s.t.Fatalf("the command ended without saying %q:\n%s", text, &p.said)
}

// sofar is what it has printed by now.
func (p *process) sofar() string {
	for {
		select {
		case line, more := <-p.lines:
			if !more {
				return p.said.String()
			}
			p.said.WriteString(line + "\n")
		default:
			return p.said.String()
		}
	}
}

// signal sends a signal.
func (p *process) signal(signal syscall.Signal) {
	p.s.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.s.t.Fatal(err)
	}
}

// unheard stops reading what it prints, like the reader of a pipe that has ended.
func (p *process) unheard() {
	p.s.t.Helper()
	if err := p.stderr.Close(); err != nil {
		p.s.t.Fatal(err)
	}
}

// end waits for the end and returns the exit code, -1 after a fatal signal.
func (p *process) end() int {
	p.s.t.Helper()
	for line := range p.lines {
		p.said.WriteString(line + "\n")
	}
	_ = p.cmd.Wait() // the exit code says it
	return p.cmd.ProcessState.ExitCode()
}

func TestBackupKilledIsSweptByTheNext(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "killed")
	s.apply(workload{name: "web", replicas: 2}.manifest(), "web")
	name := s.Namespace + "/web"
	killed := s.start("backup", name)
	killed.until("data-web-0: preparing the mover")
	killed.signal(syscall.SIGKILL)
	killed.end()
	left, err := s.Leftovers(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) < 3 {
		t.Fatalf("a killed backup left only %q: this test shows nothing", left)
	}
	s.run(0, []string{"no recovery points"}, "list", name)

	begun := time.Now()
	s.run(0, []string{"is held by backup", "removed what a dead operation had left: VolumeSnapshot", "complete"}, "backup", name)
	t.Logf("the next backup took %s", time.Since(begun).Round(time.Second))
	s.nothingBehind()
	check, err := s.StockRestic(s.ctx, "web", "check", "--read-data")
	if err != nil || check.Code != 0 {
		t.Errorf("stock restic finds fault: %v\n%s", err, check)
	}
}

func TestBackupTwiceAtOnce(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "twice")
	s.apply(workload{name: "web", replicas: 3}.manifest(), "web")
	name := s.Namespace + "/web"
	first := s.start("backup", name)
	first.until("taking a VolumeSnapshot")
	s.run(5, []string{"StatefulSet " + name, "another operation is running: backup"}, "backup", name)
	if code := first.end(); code != 0 {
		t.Errorf("the first backup ended with exit code %d:\n%s", code, &first.said)
	}
	s.run(0, []string{"3/3"}, "list", name)
	s.nothingBehind()
}

func TestBackupInterrupted(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "interrupted")
	s.apply(workload{name: "web", replicas: 2}.manifest(), "web")
	name := s.Namespace + "/web"
	for _, moment := range []string{
		"data-web-0: taking a VolumeSnapshot", "data-web-0: preparing the mover", "data-web-0: copying", "data-web-0: saved",
		"data-web-1: copying",
	} {
		stopped := s.start("backup", name, "--limit-upload", "128") // slow enough that it has not ended by then
		stopped.until(moment)
		stopped.signal(syscall.SIGINT)
		begun := time.Now()
		if code := stopped.end(); code != 130 {
			t.Errorf("interrupted at %q: exit code %d, want 130:\n%s", moment, code, &stopped.said)
		}
		t.Logf("interrupted at %q: ended after %s", moment, time.Since(begun).Round(100*time.Millisecond))
		s.nothingBehind()
	}
	s.run(0, []string{"no recovery points"}, "list", name)
	s.run(0, []string{"complete"}, "backup", name)
}

func TestBackupInterruptedTwiceEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "impatient")
	s.apply(workload{name: "web", replicas: 1}.manifest(), "web")
	stopped := s.start("backup", s.Namespace+"/web")
	stopped.until("data-web-0: copying")
	stopped.signal(syscall.SIGINT)
	// Removing the mover takes a second at least; a person who insists does not have to wait for it.
	insist := time.NewTicker(50 * time.Millisecond)
	defer insist.Stop()
	for range 5 {
		<-insist.C
		_ = stopped.cmd.Process.Signal(syscall.SIGINT) // it may have ended already
	}
	if code := stopped.end(); code != -1 {
		t.Errorf("exit code %d, want the end by a signal:\n%s", code, &stopped.said)
	}
}
