package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/internal/mover/resources"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/s3"
)

// The files that a mover finds in cluster.MoverFiles.
const (
	moverPassword    = "password"
	moverCredentials = "credentials"
	moverCA          = "ca.crt"
)

// moverFlags say how movers run. Backup and restore have them.
type moverFlags struct {
	repo           string
	image          string
	serviceAccount string
	startTimeout   time.Duration
	stallTimeout   time.Duration
	requests       resources.Amounts
	limits         resources.Amounts
	env            moverEnv
}

func (f *moverFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&f.repo,
		"mover-repo",
		"",
		"`URL` of the repository as pods reach it, if it differs from --repo ($STSBACKUP_MOVER_REPO)",
	)
	cmd.Flags().StringVar(
		&f.image,
		"image",
		"",
		"`image` that movers run ($STSBACKUP_IMAGE; default: in a pod of deploy/overlays the pod's own image, else stsbackup of this "+
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

// check reports times that nothing can be done within.
func (f *moverFlags) check() error {
	return errors.Join(checkTimeout("mover-start-timeout", f.startTimeout), checkTimeout("mover-stall-timeout", f.stallTimeout), f.env.check())
}

// location is the repository's URL as movers reach it; url is the one that this process uses.
func (f *moverFlags) location(a *app, url string) (string, error) {
	if own := strings.TrimSpace(cmp.Or(f.repo, a.getenv("STSBACKUP_MOVER_REPO"))); own != "" {
		return own, nil
	}
	if !strings.HasPrefix(url, s3.Scheme+"://") {
		return "", usageErrorf("movers run in pods and cannot reach the repository %s: use an s3:// URL, or give --mover-repo", url)
	}
	return url, nil
}

// config is what all movers of one StatefulSet's operation share. They get the password of this one repository, never
// the root password, and the S3 credentials that this process would use itself.
func (f *moverFlags) config(ctx context.Context, a *app, store *location.Root, t target) (cluster.MoverConfig, error) {
	image, err := f.moverImage(ctx, a)
	if err != nil {
		return cluster.MoverConfig{}, err
	}
	files := &moverFiles{app: a, password: store.Password(t.name())}
	config := cluster.MoverConfig{
		Image:          image,
		ServiceAccount: f.serviceAccount,
		StartTimeout:   f.startTimeout,
		StallTimeout:   f.stallTimeout,
		Files:          files.read,
		Sign:           mover.Sign,
		Env:            map[string]string{},
	}
	maps.Copy(config.Env, store.Limits().Environment(a.getenv))
	if config.Resources, err = resources.Requirements(f.requests, f.limits); err != nil {
		return cluster.MoverConfig{}, usageErrorf("%w", err)
	}
	url, err := f.location(a, store.URL())
	if err != nil {
		return cluster.MoverConfig{}, err
	}
	config.Repo = url
	if !strings.HasPrefix(url, s3.Scheme+"://") {
		files.proxies = f.env.environment(a, false, config.Env)
		return config, nil // whoever gives such a URL knows how pods reach it
	}
	if err := addS3(a, &config, files); err != nil {
		return cluster.MoverConfig{}, err
	}
	files.proxies = f.env.environment(a, sameEndpoint(a, store.URL(), files.location), config.Env)
	// What is wrong with the credentials shows now, and not when volumes have been captured.
	if _, err := files.read(ctx); err != nil {
		return cluster.MoverConfig{}, err
	}
	return config, nil
}

// addS3 makes the URL complete, since a mover has none of this process's environment, and adds the credentials and
// certificates that belong to it.
func addS3(a *app, config *cluster.MoverConfig, files *moverFiles) error {
	where, err := location.S3(config.Repo, a.getenv)
	if err != nil {
		return err
	}
	files.location = &where
	config.Env["AWS_SHARED_CREDENTIALS_FILE"] = cluster.MoverFiles + "/" + moverCredentials
	if where.CAFile != "" {
		config.Env["AWS_CA_BUNDLE"] = cluster.MoverFiles + "/" + moverCA
	}
	// These name things of this machine; the mover has its own.
	public := where
	public.Profile, public.CAFile = "", ""
	config.Repo = public.URL()
	return nil
}

// sameEndpoint reports whether a URL leads to the S3 service that movers use.
func sameEndpoint(a *app, url string, movers *s3.Config) bool {
	if !strings.HasPrefix(url, s3.Scheme+"://") {
		return false
	}
	own, err := location.S3(url, a.getenv)
	return err == nil && own.Endpoint == movers.Endpoint
}

// moverFiles is where the files of movers come from.
type moverFiles struct {
	app      *app
	password repository.Secret
	location *s3.Config // nil: no S3
	proxies  []byte     // with passwords; empty: none
}

// read finds the files as they are now: the keys of a role are other ones each time.
func (f *moverFiles) read(ctx context.Context) (cluster.KeyFiles, error) {
	files := cluster.KeyFiles{Content: map[string][]byte{moverPassword: []byte(f.password.Reveal() + "\n")}}
	if len(f.proxies) > 0 {
		files.Content[moverProxies] = f.proxies
	}
	if f.location == nil {
		return files, nil
	}
	credentials, err := s3.ResolveCredentials(ctx, *f.location, f.app.getenv)
	if err != nil {
		return cluster.KeyFiles{}, err
	}
	files.Content[moverCredentials], files.Expires = credentials.SharedFile(), credentials.Expires()
	if f.location.CAFile != "" {
		if files.Content[moverCA], err = os.ReadFile(f.location.CAFile); err != nil {
			return cluster.KeyFiles{}, fmt.Errorf("read the certificates to trust: %w", err)
		}
	}
	return files, nil
}

// holder says who is at work, to others who find the Lease taken.
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
