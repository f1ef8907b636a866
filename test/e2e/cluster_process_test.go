//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stsbackup/stsbackup/test/harness"
)

// process finds the process in a pod's container that runs a program. The nodes of the test cluster are this machine;
// process recognizes the pod by its cgroup.
func (s *scenario) process(podUID, program string) int {
	s.t.Helper()
	var found []int
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		groups, err := os.ReadFile(filepath.Join(entry, "cgroup"))
		if err != nil || !strings.Contains(strings.ReplaceAll(string(groups), "_", "-"), podUID) {
			continue // it has ended, or belongs to another pod
		}
		line, err := os.ReadFile(filepath.Join(entry, "cmdline"))
		if name, _, _ := strings.Cut(string(line), "\x00"); err != nil || name != program {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			s.t.Fatal(err)
		}
		found = append(found, pid)
	}
	if len(found) != 1 {
		s.t.Fatalf(
			"%d processes of pod %s run %s on this machine; the cluster must be on it, as that of `make cluster-up` is",
			len(found),
			podUID,
			program,
		)
	}
	return found[0]
}

// kill9 kills the process of a container with SIGKILL.
func (s *scenario) kill9(podUID, program string) {
	s.t.Helper()
	if err := syscall.Kill(s.process(podUID, program), syscall.SIGKILL); err != nil {
		s.t.Fatalf("kill %s of pod %s: %v", program, podUID, err)
	}
}

// without stops a component of the test cluster. The returned function starts it again; the end of the test does so if
// nobody has before.
func (s *scenario) without(name string) (again func()) {
	s.t.Helper()
	s.component("stop", name)
	var started bool
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if !started {
			if err := testcluster(ctx, "start", name); err != nil {
				s.t.Error(err)
			}
		}
	})
	return func() {
		s.t.Helper()
		started = true
		s.component("start", name)
		s.component("status")
	}
}

// component lets the test cluster's tool stop or start a component, or check whether all of them run.
func (s *scenario) component(args ...string) {
	s.t.Helper()
	if err := testcluster(s.ctx, args...); err != nil {
		s.t.Fatal(err)
	}
}

// testcluster runs that tool.
func testcluster(ctx context.Context, args ...string) error {
	bin := os.Getenv("STSBACKUP_TEST_BIN")
	result, err := harness.Run(ctx, "", nil, filepath.Join(bin, "testcluster"), append([]string{"-dir", filepath.Dir(bin)}, args...)...)
	if err != nil || result.Code != 0 {
		return fmt.Errorf("%w\n%s\nthe cluster must be that of `make cluster-up`", cmp.Or(err, errors.New("testcluster failed")), result)
	}
	return nil
}
