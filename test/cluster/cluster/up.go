package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stsbackup/stsbackup/test/cluster/cgroup"
	"github.com/stsbackup/stsbackup/test/cluster/holder"
	"github.com/stsbackup/stsbackup/test/cluster/modules"
	"github.com/stsbackup/stsbackup/test/cluster/process"
)

// Up makes the cluster Ready, whatever state it is in.
func (h Harness) Up(ctx context.Context) error {
	if err := needRoot(); err != nil {
		return err
	}
	began := h.Now()
	// 1. One change at a time.
	lock, err := h.acquire(ctx, false)
	if err != nil {
		return err
	}
	defer lock.release()
	// 2. Nothing to do, or something to clear away.
	running, err := h.running()
	if err != nil {
		return err
	}
	if running {
		if _, err := h.loadProduct(ctx); err != nil {
			return err
		}
		h.say("the cluster is up already")
		return h.printEnv()
	}
	if err := h.end(ctx); err != nil {
		return err
	}
	// 3. Build what is not up to date.
	if err := h.build(ctx); err != nil {
		return err
	}
	// 4. An empty place.
	if err := h.makeRoom(); err != nil {
		return err
	}
	// 5. and 6. The holder.
	if err := h.launch(ctx); err != nil {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
		defer cancel()
		return errors.Join(err, h.end(cleanup))
	}
	h.say("the cluster is Ready after %s", h.Now().Sub(began).Round(100*time.Millisecond))
	return h.printEnv()
}

// running says whether the cluster is Ready with all its components.
func (h Harness) running() (bool, error) {
	status, alive, err := h.state()
	if err != nil || !alive {
		return false, err
	}
	for component, how := range status.Ended {
		h.say("%s has ended (%s): starting anew", component, how)
	}
	return status.Ready && len(status.Ended) == 0, nil
}

// build builds programs and images.
func (h Harness) build(ctx context.Context) error {
	if err := h.modules().Build(ctx, modules.Cluster()); err != nil {
		return err
	}
	if err := h.images().Build(ctx); err != nil {
		return err
	}
	product, err := h.images().Product(ctx, h.Repository, h.Version)
	if err != nil {
		return err
	}
	h.saySizes(product)
	return nil
}

// makeRoom makes an empty run folder, puts the logs of the previous run aside, and makes the cgroup roots.
func (h Harness) makeRoom() error {
	if err := os.RemoveAll(h.Spec.PreviousLogs()); err != nil {
		return err
	}
	if err := os.Rename(h.Spec.Logs(), h.Spec.PreviousLogs()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	dirs := []string{h.Spec.Logs(), h.Spec.PodLogs(), h.Spec.Run(), h.Spec.HostPath(), h.Spec.Bucket(h.Spec.S3.Bucket)}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, n := range h.Spec.Nodes {
		if err := cgroup.Create(n.Cgroup); err != nil {
			return err
		}
	}
	return nil
}

// launch starts the holder, follows it until the cluster is Ready, writes the env file and lets it stay.
func (h Harness) launch(ctx context.Context) error {
	sockets, err := h.listen()
	if err != nil {
		return err
	}
	defer sockets.close()
	theirLifeline, lifeline, err := os.Pipe()
	if err != nil {
		return err
	}
	defer lifeline.Close()
	report, theirReport, err := os.Pipe()
	if err != nil {
		_ = theirLifeline.Close()
		return err
	}
	defer report.Close()
	cmd, err := h.startHolder(theirLifeline, theirReport, sockets.api, sockets.s3)
	_ = theirLifeline.Close()
	_ = theirReport.Close()
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // its report already says what its status would
	}()
	stop := context.AfterFunc(ctx, func() { _ = report.Close() }) // this ends follow
	defer stop()
	if err := h.follow(report); err != nil {
		_ = lifeline.Close() // and with it the holder
		<-ended
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted before the cluster was Ready: %w", ctx.Err())
		}
		return err
	}
	if err := h.writeEnv(); err != nil {
		return err
	}
	if _, err := lifeline.WriteString(holder.Stay); err != nil {
		return fmt.Errorf("let the cluster stay: %w", err)
	}
	return h.markLoaded()
}

// startHolder starts this program as the first process of new namespaces.
func (h Harness) startHolder(inherited ...*os.File) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(h.Spec.Log("holder"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(self, holder.Verb, h.Spec.Dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = inherited
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true, // an interrupt on the terminal is for us
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the holder: %w", err)
	}
	return cmd, nil
}

// follow passes on what the holder reports until it says Ready, or fails.
func (h Harness) follow(report *os.File) error {
	events := json.NewDecoder(report)
	for {
		var event holder.Event
		if err := events.Decode(&event); err != nil {
			log := h.Spec.Log("holder")
			return &process.Failure{
				Component: "holder",
				Log:       log,
				Tail:      process.Tail(log),
				Err:       fmt.Errorf("ended before the cluster was Ready: %w", err),
			}
		}
		switch {
		case event.Error != "":
			return errors.New(event.Error)
		case event.Ready:
			return nil
		}
		h.say("  %5.1fs  %s", event.At.Seconds(), event.Step)
	}
}

// BuildServers builds the S3 servers of the storage tests.
func (h Harness) BuildServers(ctx context.Context) error {
	return h.modules().Build(ctx, modules.Servers())
}

// Logs lists the logs, or prints the end of those whose name starts with a prefix.
func (h Harness) Logs(prefix string) error {
	paths, err := filepath.Glob(filepath.Join(h.Spec.Logs(), "*.log"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".log")
		switch {
		case prefix == "":
			h.say("%-28s %s", name, path)
		case strings.HasPrefix(name, prefix):
			h.say("==> %s\n%s", path, process.Tail(path))
		}
	}
	if prefix == "" {
		h.say("%-28s %s", "pods", h.Spec.PodLogs())
	}
	return nil
}
