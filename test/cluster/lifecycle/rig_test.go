//go:build lifecycle

package lifecycle

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/test/cluster/holder"
	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// rig is the test's own cluster, which uses the programs and images of the developer's state folder.
type rig struct {
	spec.Cluster
	repository string
}

func newRig(t *testing.T) rig {
	t.Helper()
	repository, err := filepath.Abs("../../..")
	check(t, err)
	shared := os.Getenv("STSBACKUP_CLUSTER_DIR")
	if shared == "" {
		shared = filepath.Join(repository, ".cluster")
	}
	dir, err := os.MkdirTemp("", "stsbackup-lifecycle-")
	check(t, err)
	c, err := spec.New(dir)
	check(t, err)
	r := rig{Cluster: c, repository: repository}
	for _, name := range []string{"bin", "crds", "images", "stamps"} {
		check(t, os.MkdirAll(filepath.Join(shared, name), 0o755))
		check(t, os.Symlink(filepath.Join(shared, name), filepath.Join(dir, name)))
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs are kept in %s", c.Logs())
			_, _ = r.run(context.Background(), "down")
			return
		}
		_, err := r.run(context.Background(), "purge")
		check(t, err)
	})
	return r
}

// command is the harness with a verb.
func (r rig) command(ctx context.Context, args ...string) *exec.Cmd {
	args = append([]string{"-dir", r.Dir, "-repository", r.repository}, args...)
	return exec.CommandContext(ctx, r.Program("testcluster"), args...)
}

func (r rig) run(ctx context.Context, args ...string) (string, error) {
	out, err := r.command(ctx, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("testcluster %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// do runs the harness and fails the test if it fails.
func (r rig) do(t *testing.T, args ...string) string {
	t.Helper()
	began := time.Now()
	out, err := r.run(t.Context(), args...)
	check(t, err)
	t.Logf("%s took %s", strings.Join(args, " "), time.Since(began).Round(100*time.Millisecond))
	return out
}

func (r rig) holder(t *testing.T) holder.Status {
	t.Helper()
	status, err := holder.ReadStatus(r.Status())
	check(t, err)
	return status
}

// kubectl runs kubectl on the host.
func (r rig) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.tryKubectl(t, "", args...)
	check(t, err)
	return out
}

func (r rig) apply(t *testing.T, manifest string) {
	t.Helper()
	_, err := r.tryKubectl(t, manifest, "apply", "-f", "-")
	check(t, err)
}

func (r rig) tryKubectl(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.Program("kubectl"), append([]string{"--kubeconfig", r.Kubeconfig()}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, problems.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// field waits until accept agrees with the value of an object's field.
func (r rig) field(t *testing.T, object, path string, accept func(string) bool) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		value, err := r.tryKubectl(t, "", "get", object, "-o", "jsonpath="+path)
		if err == nil && !accept(value) {
			err = fmt.Errorf("%s of %s is %q", path, object, value)
		}
		return err
	})
}

func is(want string) func(string) bool { return func(got string) bool { return got == want } }
func any(got string) bool              { return got != "" }

// eventually waits for a condition.
func eventually(t *testing.T, within time.Duration, condition func() error) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %v", within, err)
		case <-tick.C:
		}
	}
}
