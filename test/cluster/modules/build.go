package modules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
	"github.com/stsbackup/stsbackup/test/cluster/stamp"
)

// atOnce is how many groups are built at the same time.
const atOnce = 2

// Builder builds groups into a state folder.
type Builder struct {
	// Source is the folder with the groups' modules.
	Source string
	Layout spec.Layout
	// Out gets a line for what is built.
	Out io.Writer
	// Run runs a command to its end; it should not outlive us (package cage).
	Run func(context.Context, *exec.Cmd) error
	Now func() time.Time
}

// Build builds the groups that are not up to date. It tries every group; the error names each one that failed, its log
// and the end of that.
func (b Builder) Build(ctx context.Context, groups []Group) error {
	var (
		all    errgroup.Group
		mu     sync.Mutex // of failed
		failed error
	)
	all.SetLimit(atOnce)
	for _, g := range groups {
		all.Go(func() error {
			if err := b.group(ctx, g); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, err)
			}
			return nil
		})
	}
	_ = all.Wait() // failures are collected above
	return failed
}

func (b Builder) group(ctx context.Context, g Group) error {
	key, err := b.key(g)
	if err != nil {
		return fmt.Errorf("build %s: %w", g.Name, err)
	}
	if stamp.Fresh(b.Layout.Stamps(), g.Name, key, b.results(g)...) {
		return nil
	}
	began := b.Now()
	fmt.Fprintf(b.Out, "  building %s (%s)\n", g.Name, strings.Join(g.programs(), ", "))
	for _, dir := range []string{b.Layout.Bin(), b.Layout.Logs()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	args := append([]string{"build", "-trimpath", "-ldflags=" + g.linkerFlags(), "-o", b.Layout.Bin() + "/"}, g.Packages...)
	if err := b.goCommand(ctx, g, args...); err != nil {
		return err
	}
	if g.Name == "sidecars" {
		if err := b.copyCRDs(ctx, g); err != nil {
			return fmt.Errorf("copy the VolumeSnapshot resources: %w", err)
		}
	}
	fmt.Fprintf(b.Out, "  built %s in %s\n", g.Name, b.Now().Sub(began).Round(time.Second))
	return stamp.Set(b.Layout.Stamps(), g.Name, key)
}

// key is a hash of everything that decides the programs of a group.
func (b Builder) key(g Group) (string, error) {
	pins, err := stamp.FileKey(filepath.Join(b.Source, g.Name, "go.mod"), filepath.Join(b.Source, g.Name, "go.sum"))
	if err != nil {
		return "", err
	}
	return stamp.Key(pins, runtime.Version(), runtime.GOARCH, g.linkerFlags(), strings.Join(g.Packages, " ")), nil
}

func (g Group) linkerFlags() string {
	flags := "-s -w"
	for _, v := range g.Variables {
		flags += " -X " + v
	}
	return flags
}

func (g Group) programs() []string {
	var names []string
	for _, pkg := range g.Packages {
		names = append(names, path.Base(pkg))
	}
	return names
}

func (b Builder) results(g Group) []string {
	var paths []string
	for _, name := range g.programs() {
		paths = append(paths, b.Layout.Program(name))
	}
	if g.Name == "sidecars" {
		paths = append(paths, b.Layout.CRDs())
	}
	return paths
}

// goCommand runs the go command in a group's module, with its output in a log.
func (b Builder) goCommand(ctx context.Context, g Group, args ...string) error {
	logPath := filepath.Join(b.Layout.Logs(), "build-"+g.Name+".log")
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := b.command(g, args...)
	var printed bytes.Buffer
	cmd.Stdout = io.MultiWriter(log, &printed)
	cmd.Stderr = cmd.Stdout
	if err := b.Run(ctx, cmd); err != nil {
		lines := strings.Split(strings.TrimSpace(printed.String()), "\n")
		return fmt.Errorf(
			"build %s: %w\n  the last lines of %s:\n    %s",
			g.Name,
			err,
			logPath,
			strings.Join(lines[max(0, len(lines)-15):], "\n    "),
		)
	}
	return nil
}

// command is a go command in a group's module. The user's own settings must not make a different program from the same
// pins.
func (b Builder) command(g Group, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(b.Source, g.Name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	return cmd
}

// copyCRDs copies the definitions of the VolumeSnapshot resources out of their module.
func (b Builder) copyCRDs(ctx context.Context, g Group) error {
	cmd := b.command(g, "list", "-m", "-f", "{{.Dir}}", "github.com/kubernetes-csi/external-snapshotter/client/v8")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, b.Out
	if err := b.Run(ctx, cmd); err != nil {
		return err
	}
	sources, err := filepath.Glob(filepath.Join(strings.TrimSpace(out.String()), "config", "crd", "*.storage.k8s.io_*.yaml"))
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return fmt.Errorf("no definitions in %s", strings.TrimSpace(out.String()))
	}
	if err := os.MkdirAll(b.Layout.CRDs(), 0o755); err != nil {
		return err
	}
	for _, source := range sources {
		data, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.Layout.CRDs(), filepath.Base(source)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
