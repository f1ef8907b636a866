// Command testcluster brings a real Kubernetes cluster up on one machine, for tests and development, and takes it down.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/stsbackup/stsbackup/test/cluster/cage"
	"github.com/stsbackup/stsbackup/test/cluster/cluster"
	"github.com/stsbackup/stsbackup/test/cluster/holder"
	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

const usage = `testcluster [flags] VERB

  up            make the cluster Ready: build what is missing, start it, or find that it is up
  down          end it; what was built and the logs stay
  purge         end it and remove the state folder
  status        say how it is; exit status 1 unless it is Ready
  load-image    build stsbackup's image from the repository and load it into the running cluster
  test-servers  build the S3 servers of the storage tests, versitygw and minio
  logs [NAME]   list the logs, or show the end of one
  stop NAME     end one component, such as kube-apiserver, with SIGKILL
  start NAME    start it again
  in [COMMAND]  run a command inside the cluster's namespaces

`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testcluster:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 1 {
		switch args[0] {
		case cage.Verb:
			os.Exit(cage.Inside(args[1:]))
		case holder.Verb:
			return holder.Run(context.Background(), args[1], time.Now)
		}
	}
	flags := flag.NewFlagSet("testcluster", flag.ContinueOnError)
	dir := flags.String("dir", os.Getenv("STSBACKUP_CLUSTER_DIR"), "the state folder; default .cluster in the repository")
	repository := flags.String("repository", ".", "the root of stsbackup's source")
	version := flags.String("version", "dev", "the version that the stsbackup binary is given")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	h, err := newHarness(*dir, *repository, *version)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return do(ctx, h, flags.Arg(0), flags.Args())
}

func newHarness(dir, repository, version string) (cluster.Harness, error) {
	repository, err := filepath.Abs(repository)
	if err != nil {
		return cluster.Harness{}, err
	}
	if dir == "" {
		dir = filepath.Join(repository, ".cluster")
	}
	c, err := spec.New(dir)
	return cluster.Harness{Spec: c, Repository: repository, Version: version, Out: os.Stdout, Now: time.Now}, err
}

func do(ctx context.Context, h cluster.Harness, verb string, args []string) error {
	switch verb {
	case "up":
		return h.Up(ctx)
	case "down":
		return h.Down(ctx)
	case "purge":
		return h.Purge(ctx)
	case "status":
		return h.Status()
	case "load-image":
		return h.LoadImage(ctx)
	case "test-servers":
		return h.BuildServers(ctx)
	case holder.VerbStop, holder.VerbStart:
		if len(args) != 2 {
			return fmt.Errorf("%s takes the name of one component", verb)
		}
		return h.Ask(ctx, verb, args[1])
	case "in":
		return h.In(args[1:])
	case "logs":
		if len(args) > 1 {
			return h.Logs(args[1])
		}
		return h.Logs("")
	}
	return fmt.Errorf("unknown verb %q\n\n%s", verb, usage)
}
