package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/test/cluster/cgroup"
	"github.com/stsbackup/stsbackup/test/cluster/holder"
	"github.com/stsbackup/stsbackup/test/cluster/mounts"
)

// Time limits for Down: for all of it, for the holder's own clean stop, and for what follows the holder's end: until
// the kernel lets go of loop devices and the host's first process notices.
const (
	endWithin    = time.Minute
	gentleWithin = 8 * time.Second
	loopsWithin  = 15 * time.Second
	reapWithin   = 3 * time.Second
)

// pollEvery is how often to ask the kernel whether something has gone.
const pollEvery = 20 * time.Millisecond

// Down ends the cluster and removes everything except what was built and the logs. It stops an Up that is in progress.
func (h Harness) Down(ctx context.Context) error {
	if _, err := os.Stat(h.Spec.Dir); errors.Is(err, os.ErrNotExist) {
		h.say("there is no cluster in %s", h.Spec.Dir)
		return nil
	}
	if err := needRoot(); err != nil {
		return err
	}
	lock, err := h.acquire(ctx, true)
	if err != nil {
		return err
	}
	defer lock.release()
	began := h.Now()
	if err := h.end(ctx); err != nil {
		return err
	}
	h.say("the cluster is down (%s); its logs are in %s", h.Now().Sub(began).Round(100*time.Millisecond), h.Spec.Logs())
	return nil
}

// Purge ends the cluster and removes the state folder.
func (h Harness) Purge(ctx context.Context) error {
	if err := h.Down(ctx); err != nil {
		return err
	}
	return os.RemoveAll(h.Spec.Dir)
}

// end makes sure that nothing of a cluster is left, whatever there was.
func (h Harness) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	// 1. Every process, and with them every mount, address, rule and namespace.
	if err := h.endHolder(ctx); err != nil {
		return err
	}
	// 2. What the kernel releases a little later, and what it keeps.
	if err := h.releaseLoops(ctx); err != nil {
		return err
	}
	if err := cgroup.Remove(ctx, "/"+h.Spec.Name()); err != nil {
		return err
	}
	// 3. Files.
	return h.clear()
}

// endHolder asks the holder to end, and then kills it.
func (h Harness) endHolder(ctx context.Context) error {
	status, alive, err := h.state()
	if err != nil {
		return err
	}
	if alive {
		if err := h.kill(ctx, status); err != nil {
			return err
		}
	}
	// The process that inherited the holder when its starter ended still has to notice. That is the host's first
	// process, and some of these never do: then an entry in the process table stays, with nothing behind it.
	_ = until(ctx, reapWithin, func() error {
		reaped, err := status.Reaped()
		if err == nil && !reaped {
			err = fmt.Errorf("process %d has ended and is still listed", status.PID)
		}
		return err
	})
	return nil
}

// kill ends the holder.
func (h Harness) kill(ctx context.Context, status holder.Status) error {
	var err error
	gone := func() error {
		alive, err := status.Alive()
		if err == nil && alive {
			err = fmt.Errorf("the holder, process %d, is still there", status.PID)
		}
		return err
	}
	for _, try := range []struct {
		signal unix.Signal
		within time.Duration
	}{{unix.SIGTERM, gentleWithin}, {unix.SIGKILL, endWithin}} {
		if err := unix.Kill(status.PID, try.signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end the holder, process %d: %w", status.PID, err)
		}
		if err = until(ctx, try.within, gone); err == nil {
			return nil
		}
	}
	return err
}

// clear removes the run folder and what points at it. If something is mounted below it, somebody else did that, and we
// do not delete the contents.
func (h Harness) clear() error {
	mounted, err := mounts.Below(h.Spec.Run())
	if err != nil {
		return err
	}
	if len(mounted) > 0 {
		return fmt.Errorf("%s is mounted on the host; unmount it first", mounted[0])
	}
	for _, path := range []string{h.Spec.Env(), h.Spec.Kubeconfig(), h.Spec.Run()} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove what the cluster left: %w", err)
		}
	}
	return nil
}

// until repeats a check until it succeeds, for a limited time; it returns the last failure.
func until(ctx context.Context, within time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
