package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/stsbackup/stsbackup/internal/mover/env"
)

// version is what the linker sets: -X main.version=….
var version = "dev"

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), stoppers()...)
	defer stop()
	// From the first signal on the signals have their default effect again: the first one asks for a clean stop, a
	// second one ends the process at once. A lost terminal does not count as a second one: the shell may pass on its
	// SIGHUP again.
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGHUP)
		unheard()
		stop()
	})

	if err := env.TakeProxies(os.Getenv, os.Setenv); err != nil {
		fmt.Fprintf(os.Stderr, "stsbackup: %s\n", err)
		return 1
	}
	return execute(ctx, newApp(), os.Args[1:])
}

// stoppers are the signals that ask for a clean stop: Ctrl-C, the end of a pod, and the loss of the terminal, for
// example when a connection breaks. Somebody who starts the process with nohup does not want a lost terminal to stop
// it.
func stoppers() []os.Signal {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// unheard lets the process go on when nobody reads its output any more. By default such a write ends the process at
// once: in the middle of a restore if somebody quits the less that the output goes to; or while it puts a restore back,
// because Ctrl-C has ended tee as well.
func unheard() {
	signal.Ignore(syscall.SIGPIPE)
}
