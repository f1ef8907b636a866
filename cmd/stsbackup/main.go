package main

import (
	"context"
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

	return execute(ctx, newApp(), os.Args[1:])
}
