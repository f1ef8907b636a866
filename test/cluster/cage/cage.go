package cage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// Verb is the hidden command that makes this program a cage: `testcluster cage PROGRAM ARG…`.
const Verb = "cage"

// lifeline is the file descriptor on which a cage inherits its end of the pipe.
const lifeline = 3

// Run runs a command inside a cage. cmd's Stdout and Stderr, Dir and Env apply to the command. When the context ends,
// Run kills the command with everything that it started.
func Run(ctx context.Context, cmd *exec.Cmd) error {
	if os.Geteuid() != 0 {
		return run(ctx, cmd)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer ours.Close()
	defer theirs.Close()
	caged := exec.Command(self, append([]string{Verb, cmd.Path}, cmd.Args[1:]...)...)
	caged.Dir, caged.Env = cmd.Dir, cmd.Env
	caged.Stdin, caged.Stdout, caged.Stderr = cmd.Stdin, cmd.Stdout, cmd.Stderr
	caged.ExtraFiles = []*os.File{theirs}
	caged.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Setsid: true}
	return run(ctx, caged)
}

func run(ctx context.Context, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	return nil
}

// Inside is the cage: it runs a program to its end and returns its exit status, unless the pipe ends first.
func Inside(argv []string) (status int) {
	pipe := os.NewFile(lifeline, "lifeline")
	syscall.CloseOnExec(lifeline)
	// An interrupt goes to the whole terminal; the program that asked for this one decides what it means.
	signal.Ignore(syscall.SIGINT)
	ended := make(chan int, 2)
	go func() {
		_, _ = io.Copy(io.Discard, pipe)
		ended <- 137
	}()
	go func() {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		var exit *exec.ExitError
		switch err := cmd.Run(); {
		case err == nil:
			ended <- 0
		case errors.As(err, &exit):
			ended <- exit.ExitCode()
		default:
			fmt.Fprintln(os.Stderr, err)
			ended <- 127
		}
	}()
	return <-ended
}
