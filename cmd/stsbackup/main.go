package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker: -X main.version=….
var version = "dev"

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// From the first signal on the signals have their default effect again: the first one asks for a clean stop,
	// a second one ends the process at once.
	context.AfterFunc(ctx, stop)

	if err := takeProxies(os.Getenv, os.Setenv); err != nil {
		fmt.Fprintf(os.Stderr, "stsbackup: %s\n", err)
		return 1
	}
	return execute(ctx, newApp(), os.Args[1:])
}
