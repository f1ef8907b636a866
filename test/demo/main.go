package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/stsbackup/stsbackup/test/harness"
)

//go:embed manifests.yaml
var manifests string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "\nThe demo failed: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	root, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	env, err := harness.FromEnvironment(os.Getenv, root)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "stsbackup-demo-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	namespace := "demo-" + time.Now().UTC().Format("150405")
	if env.Operator, err = env.OperatorKubeconfig(ctx, dir, filepath.Join(root, "deploy", "base")); err != nil {
		return err
	}
	tenant, err := harness.NewTenant(ctx, env, namespace, dir)
	if err != nil {
		return err
	}
	s := &story{Tenant: tenant, ctx: ctx, out: os.Stdout, start: time.Now()}
	return s.tell()
}
