package cluster

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"

	"github.com/stsbackup/stsbackup/test/cluster/holder"
	"github.com/stsbackup/stsbackup/test/cluster/process"
)

// ErrNotReady is returned by Status for a cluster that is down, starting, or has lost components.
var ErrNotReady = errors.New("the cluster is not Ready")

// Status says in which state the cluster is.
func (h Harness) Status() error {
	status, alive, err := h.state()
	if err != nil {
		return err
	}
	switch {
	case !alive:
		h.say("down (state folder %s)", h.Spec.Dir)
		return ErrNotReady
	case !status.Ready:
		h.say("starting (holder: process %d)", status.PID)
		return ErrNotReady
	}
	h.say("up: API server https://%s, S3 http://%s, holder: process %d", status.API, status.S3, status.PID)
	for _, component := range slices.Sorted(maps.Keys(status.Ended)) {
		log := h.Spec.Log(component)
		h.say("%s %s; the last lines of %s:\n%s", component, status.Ended[component], log, process.Tail(log))
	}
	if len(status.Ended) > 0 {
		return ErrNotReady
	}
	return h.printEnv()
}

// Ask asks the holder to end a component, or to start it again (holder.VerbStop, holder.VerbStart).
func (h Harness) Ask(ctx context.Context, verb, component string) error {
	if _, alive, err := h.state(); err != nil {
		return err
	} else if !alive {
		return ErrNotReady
	}
	return holder.Ask(ctx, h.Spec.Control(), holder.Request{Verb: verb, Component: component})
}

// In replaces this process by a command inside the cluster's namespaces, with the KUBECONFIG that is valid there.
func (h Harness) In(argv []string) error {
	status, alive, err := h.state()
	if err != nil {
		return err
	}
	if !alive {
		return ErrNotReady
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return err
	}
	if len(argv) == 0 {
		argv = []string{"bash"}
	}
	enter := []string{"nsenter", "--target", strconv.Itoa(status.PID), "--net", "--mount", "--pid", "--uts", "--ipc", "--"}
	env := append(os.Environ(), "KUBECONFIG="+h.Spec.KubeconfigOf("admin"), "PATH="+h.Spec.Bin()+":"+os.Getenv("PATH"))
	return syscall.Exec(nsenter, append(enter, argv...), env)
}
