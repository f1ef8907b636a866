package setup

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/internal/mover/env"
	"github.com/stsbackup/stsbackup/internal/mover/resources"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/s3"
)

// The variables that replace options.
const (
	EnvRepo  = "STSBACKUP_MOVER_REPO"
	EnvImage = "STSBACKUP_IMAGE"
)

// Options are what a person says about how movers run.
type Options struct {
	// Repo is the URL of the repository root as pods reach it. Empty: $STSBACKUP_MOVER_REPO, or this process's own URL.
	Repo string
	// Image is the image that movers run. Empty: $STSBACKUP_IMAGE, or this process's own image.
	Image string
	// ServiceAccount, StartTimeout and StallTimeout are as in cluster.MoverConfig.
	ServiceAccount             string
	StartTimeout, StallTimeout time.Duration
	// Requests and Limits override the defaults.
	Requests, Limits resources.Amounts
	Env              env.Variables
}

// Process is what movers need to know about the process that starts them.
type Process struct {
	Getenv func(string) string
	// Version is the version of stsbackup.
	Version string
}

// InvalidError says that a person has asked for something impossible. Nothing has been done.
type InvalidError struct{ err error }

// Error says what is wrong.
func (e *InvalidError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *InvalidError) Unwrap() error { return e.err }

// URL is the URL of the repository root as movers reach it; rootURL is the URL that this process uses.
func (o *Options) URL(getenv func(string) string, rootURL string) (string, error) {
	if own := strings.TrimSpace(cmp.Or(o.Repo, getenv(EnvRepo))); own != "" {
		return own, nil
	}
	if !location.IsS3(rootURL) {
		return "", &InvalidError{fmt.Errorf(
			"movers run in pods and cannot reach the repository %s: use an s3:// URL, or give --mover-repo",
			rootURL,
		)}
	}
	return rootURL, nil
}

// Config is the configuration that all movers of one StatefulSet's operation share. They get the password of
// this one repository, never the root password, and the S3 credentials that this process itself would use.
func (o *Options) Config(ctx context.Context, from Process, root *location.Root, of catalog.Name) (cluster.MoverConfig, error) {
	image, err := o.image(ctx, from)
	if err != nil {
		return cluster.MoverConfig{}, err
	}
	files := &files{getenv: from.Getenv, password: root.Password(of)}
	config := cluster.MoverConfig{
		Image:          image,
		ServiceAccount: o.ServiceAccount,
		StartTimeout:   o.StartTimeout,
		StallTimeout:   o.StallTimeout,
		Files:          files.read,
		Sign:           mover.Sign,
		Env:            map[string]string{},
	}
	maps.Copy(config.Env, root.Limits().Environment(from.Getenv))
	if config.Resources, err = resources.Requirements(o.Requests, o.Limits); err != nil {
		return cluster.MoverConfig{}, &InvalidError{err}
	}
	if config.Repo, err = o.URL(from.Getenv, root.URL()); err != nil {
		return cluster.MoverConfig{}, err
	}
	if !location.IsS3(config.Repo) {
		files.proxies = o.Env.Give(config.Env, from.Getenv, false)
		return config, nil // a user who gives such a URL knows how pods reach it
	}
	if err := addS3(from, &config, files); err != nil {
		return cluster.MoverConfig{}, err
	}
	files.proxies = o.Env.Give(config.Env, from.Getenv, sameEndpoint(from, root.URL(), files.bucket))
	// If something is wrong with the credentials, fail now, and not after volumes have been captured.
	if _, err := files.read(ctx); err != nil {
		return cluster.MoverConfig{}, err
	}
	return config, nil
}

// addS3 completes the URL, because a mover has none of this process's environment, and adds the credentials and
// certificates for it.
func addS3(from Process, config *cluster.MoverConfig, files *files) error {
	bucket, err := location.S3(config.Repo, from.Getenv)
	if err != nil {
		return err
	}
	files.bucket = &bucket
	config.Env[s3.EnvCredentialsFile] = contract.Credentials.Path()
	if bucket.CAFile != "" {
		config.Env[s3.EnvCAFile] = contract.CA.Path()
	}
	// These name files and profiles of this machine; the mover has its own.
	public := bucket
	public.Profile, public.CAFile = "", ""
	config.Repo = public.URL()
	return nil
}

// sameEndpoint reports whether a URL leads to the S3 service that movers use.
func sameEndpoint(from Process, url string, movers *s3.Config) bool {
	if !location.IsS3(url) {
		return false
	}
	own, err := location.S3(url, from.Getenv)
	return err == nil && own.Endpoint == movers.Endpoint
}
