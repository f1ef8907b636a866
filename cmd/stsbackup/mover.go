package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/env"
	"github.com/stsbackup/stsbackup/internal/mover/resources"
	"github.com/stsbackup/stsbackup/internal/mover/setup"
	"github.com/stsbackup/stsbackup/storage/location"
)

// moverFlags say how movers run. Backup and restore have these flags.
type moverFlags struct {
	repo           string
	image          string
	serviceAccount string
	startTimeout   time.Duration
	stallTimeout   time.Duration
	requests       resources.Amounts
	limits         resources.Amounts
	env            env.Variables
}

func (f *moverFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&f.repo,
		"mover-repo",
		"",
		"`URL` of the repository as pods reach it, if it differs from --repo ($"+setup.EnvRepo+")",
	)
	cmd.Flags().StringVar(
		&f.image,
		"image",
		"",
		"`image` that movers run ($"+setup.EnvImage+"; default: in a pod of deploy/overlays the pod's own image, else stsbackup of this "+
			"version)",
	)
	cmd.Flags().StringVar(
		&f.serviceAccount,
		"mover-service-account",
		"",
		"`name` of the ServiceAccount that movers run with (default: a new one that has no rights)",
	)
	cmd.Flags().DurationVar(&f.startTimeout, "mover-start-timeout", 5*time.Minute, "give up on a mover that hasn't started after this time")
	cmd.Flags().DurationVar(&f.stallTimeout, "mover-stall-timeout", 15*time.Minute, "give up on a mover that has made no progress for "+
		"this time")
	requests, limits := resources.DefaultRequests(), resources.DefaultLimits()
	cmd.Flags().Var(&f.requests, "mover-requests", "what movers request; 0 is none (default: "+requests.String()+")")
	cmd.Flags().Var(&f.limits, "mover-limits", "what movers may use at most; 0 is no limit (default: "+limits.String()+")")
	cmd.Flags().Var(
		&f.env,
		"mover-env",
		"give movers this environment variable, which must not be secret; repeatable. Movers get this command's proxies ($HTTP_PROXY, "+
			"$HTTPS_PROXY, $NO_PROXY) without it",
	)
}

// check rejects timeouts in which nothing can be done, and environment variables that movers must not have.
func (f *moverFlags) check() error {
	faults := []error{checkTimeout("mover-start-timeout", f.startTimeout), checkTimeout("mover-stall-timeout", f.stallTimeout)}
	for _, fault := range f.env.Faults() {
		faults = append(faults, usageErrorf("--mover-env: %w", fault))
	}
	return errors.Join(faults...)
}

// options returns what the flags say.
func (f *moverFlags) options() setup.Options {
	return setup.Options{
		Repo: f.repo, Image: f.image, ServiceAccount: f.serviceAccount, StartTimeout: f.startTimeout, StallTimeout: f.stallTimeout,
		Requests: f.requests, Limits: f.limits, Env: f.env,
	}
}

// location is the URL of the repository root as movers reach it; url is the one that this process uses.
func (f *moverFlags) location(a *app, url string) (string, error) {
	options := f.options()
	return options.URL(a.getenv, url)
}

// config is what all movers of an operation on one StatefulSet share.
func (f *moverFlags) config(ctx context.Context, a *app, store *location.Root, t target) (cluster.MoverConfig, error) {
	options := f.options()
	return options.Config(ctx, setup.Process{Getenv: a.getenv, Version: a.version}, store, t.name())
}

// holder says who is at work; others who find the Lease taken read it.
func holder(a *app) string {
	name := cmp.Or(a.getenv("USER"), "someone")
	if current, err := user.Current(); err == nil {
		name = current.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return fmt.Sprintf("%s on %s (process %d)", name, host, os.Getpid())
}
