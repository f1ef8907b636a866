package volume

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/s3"
)

// ProbeRequest says what must be possible from here.
type ProbeRequest struct {
	Repository
	Observer
	// Snapshots are repository snapshots that must exist.
	Snapshots []repository.ID
	// Write makes Probe also check whether the repository can be written, and create the repository if there is none.
	Write bool
}

// Probe opens a repository, lists its index and reads a part of it, and looks for the repository snapshots. To
// find out whether the repository can be written, it locks the repository for a moment.
func Probe(ctx context.Context, r ProbeRequest) error {
	points, err := r.open(ctx, r.Observer, r.Write)
	if err != nil {
		return err
	}
	repo := points.Repository()
	if err := repo.Probe(ctx, r.Snapshots); err != nil {
		return err
	}
	for _, id := range r.Snapshots {
		snapshot, err := repo.LoadSnapshot(ctx, id)
		if err == nil {
			err = points.CheckOwner(snapshot, "")
		}
		if err != nil {
			return err
		}
	}
	if !r.Write {
		return nil
	}
	lock, err := repo.BeginLock(ctx)
	if errors.Is(err, repository.ErrLocked) {
		return nil // movers will wait for the lock's holder
	}
	if err != nil {
		return err
	}
	return lock.Release(ctx)
}

// ExplainInPod adds to an error from inside a pod what to do about it, if that differs from what a person at a
// terminal would do. location is the repository's URL as it was given to movers.
func ExplainInPod(location string, err error) error {
	var host string
	if config, parseErr := s3.ParseURL(location); parseErr == nil {
		if endpoint, parseErr := url.Parse(config.Endpoint); parseErr == nil {
			host = endpoint.Hostname()
		}
	}
	ip := net.ParseIP(host)
	loopback := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case errors.Is(err, storage.ErrUnreachable) && loopback:
		return fmt.Errorf("%w; in a pod, %s is the pod itself: with --mover-repo, give the URL by which pods reach the bucket", err, host)
	case errors.Is(err, storage.ErrUnreachable):
		return fmt.Errorf(
			"%w; this happened inside a pod: if pods reach the bucket at another address, give that URL with --mover-repo; if not, look "+
				"for a NetworkPolicy or a firewall in between",
			err,
		)
	case errors.Is(err, repository.ErrNoRepository),
		errors.Is(err, storage.ErrNoBucket),
		errors.Is(err, repository.ErrNoSnapshot),
		errors.Is(err, repository.ErrWrongPassword):
		return fmt.Errorf("%w; this happened with the URL that movers use: --mover-repo, if given, must lead to the same place as "+
			"--repo", err)
	default:
		return err
	}
}
