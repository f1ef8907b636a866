package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Supervisor starts processes and waits for every child of this process, its own and inherited ones.
type Supervisor struct {
	logs string

	mu       sync.Mutex // held while a child starts, so that the child is known before anybody waits for it
	children map[int]*Process
	named    map[string]*Process
}

// Process is one program that was started.
type Process struct {
	// Name is the component's name.
	Name string
	// PID is the process, as seen in this PID namespace.
	PID int
	// Log is the file that its output goes to, "" for a short command.
	Log string

	done   chan struct{}
	status syscall.WaitStatus
}

// NewSupervisor returns a supervisor that writes logs into a folder. It waits for children until the context ends.
func NewSupervisor(ctx context.Context, logs string) *Supervisor {
	s := &Supervisor{logs: logs, children: map[int]*Process{}, named: map[string]*Process{}}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		defer signal.Stop(ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-ended:
				s.reap()
			}
		}
	}()
	return s
}

// reap waits for every child that has ended. Signals merge, so one signal can stand for many children.
func (s *Supervisor) reap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if p, ours := s.children[pid]; ours {
			delete(s.children, pid)
			p.status = status
			close(p.done)
		}
	}
}

// Start starts a component in a session of its own; its output is appended to its log file.
func (s *Supervisor) Start(name string, argv []string, env ...string) (*Process, error) {
	path := filepath.Join(s.logs, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p, err := s.start(name, cmd)
	if err != nil {
		return nil, err
	}
	p.Log = path
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named[name] = p
	return p, nil
}

// Find returns the component last started under a name, nil if there was none.
func (s *Supervisor) Find(name string) *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.named[name]
}

func (s *Supervisor) start(name string, cmd *exec.Cmd) (*Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Name: name, PID: cmd.Process.Pid, done: make(chan struct{})}
	s.children[p.PID] = p
	if err := cmd.Process.Release(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// Run runs a short command to its end. The error carries what it printed. If the context ends first, the command is killed.
func (s *Supervisor) Run(ctx context.Context, argv ...string) error {
	return s.RunInput(ctx, nil, argv...)
}

// RunInput is Run with something to read on standard input.
func (s *Supervisor) RunInput(ctx context.Context, input []byte, argv ...string) error {
	out, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("run %s: %w", argv[0], err)
	}
	defer out.Close()
	in, err := stdin(input)
	if err != nil {
		return fmt.Errorf("run %s: %w", argv[0], err)
	}
	defer in.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, write, write
	p, err := s.start(filepath.Base(argv[0]), cmd)
	_ = write.Close()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { p.Signal(syscall.SIGKILL) })
	defer stop()
	printed, _ := io.ReadAll(out)
	<-p.done
	if err := p.exit(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), errors.Join(ctx.Err(), err), strings.TrimSpace(string(printed)))
	}
	return nil
}

// stdin makes a file of the input, because a goroutine that feeds a pipe would need os/exec's Wait to end.
func stdin(input []byte) (*os.File, error) {
	if input == nil {
		return os.Open(os.DevNull)
	}
	f, err := os.CreateTemp("", "stdin")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err := io.Copy(f, bytes.NewReader(input)); err != nil {
		_ = f.Close()
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal; if the process has already ended, that is no error.
func (p *Process) Signal(sig syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(p.PID, sig) // it may end just now
	}
}

// exit says how a process has ended, nil for exit status 0.
func (p *Process) exit() error {
	switch {
	case p.status.Signaled():
		return fmt.Errorf("ended by signal %s", p.status.Signal())
	case p.status.ExitStatus() != 0:
		return fmt.Errorf("exit status %d", p.status.ExitStatus())
	}
	return nil
}
