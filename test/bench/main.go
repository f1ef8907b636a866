package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/stsbackup/stsbackup/test/bench/tool"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		stop()
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	bin, server, dir, document string
	memory, full               bool
	rounds                     int
	limit                      time.Duration
	only                       *regexp.Regexp
}

func parse(args []string) (options, error) {
	var (
		o     options
		only  string
		flags = flag.NewFlagSet("bench", flag.ContinueOnError)
	)
	flags.StringVar(&o.bin, "bin", "", "`directory` of the programs stsbackup, restic and kopia")
	flags.StringVar(&o.server, "server", "", "`path` of the S3 server versitygw")
	flags.StringVar(&o.dir, "dir", "", "`directory` to work in; by default one in memory, or else the usual one for temporary files")
	flags.StringVar(&o.document, "document", "", "`file` to write the results to, in its section")
	flags.BoolVar(&o.memory, "memory", false, "measure how memory depends on the volume's size, of stsbackup alone")
	flags.BoolVar(&o.full, "full", false, "a million small files instead of 200,000")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of each measurement; small files take part in the first one only")
	flags.DurationVar(&o.limit, "limit", 13*time.Minute+20*time.Second, "`time` after which no more rounds but the first are begun")
	flags.StringVar(&only, "only", "", "only data sets that match this `expression`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.bin == "" || o.rounds < 1 {
		return o, errors.New("give -bin, a positive number of -rounds, and no arguments")
	}
	var err error
	if o.only, err = regexp.Compile(only); err != nil {
		return o, fmt.Errorf("-only: %w", err)
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.dir == "" {
		o.dir = workplace(o.memory, o.full)
	}
	dir, err := os.MkdirTemp(o.dir, "stsbackup-bench-")
	if err != nil {
		return fmt.Errorf("make a folder to work in: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return fmt.Errorf("find the programs: %w", err)
	}
	b := &bench{options: o, dir: dir, out: out, now: time.Now, tools: tool.All(bin)}
	b.started = b.now()
	if o.memory {
		return b.measureMemory(ctx)
	}
	return b.compare(ctx)
}
