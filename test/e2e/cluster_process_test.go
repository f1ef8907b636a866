//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// kill9 ends the process of a container the hard way. The nodes of the test cluster are this machine; it finds the process
// by the pod's control group.
func (s *scenario) kill9(podUID, program string) {
	s.t.Helper()
	killed := 0
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		groups, err := os.ReadFile(filepath.Join(entry, "cgroup"))
		if err != nil || !strings.Contains(strings.ReplaceAll(string(groups), "_", "-"), podUID) {
			continue // it has ended, or is another's
		}
		line, err := os.ReadFile(filepath.Join(entry, "cmdline"))
		if name, _, _ := strings.Cut(string(line), "\x00"); err != nil || name != program {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			s.t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			s.t.Fatalf("kill process %d of pod %s: %v", pid, podUID, err)
		}
		killed++
	}
	if killed != 1 {
		s.t.Fatalf("%d processes of pod %s run %s on this machine; the cluster must be on it, as that of `make cluster-up` is", killed, podUID, program)
	}
}
