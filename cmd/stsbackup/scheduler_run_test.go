package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSchedulerServeUsage(t *testing.T) {
	s := volumeShell(t)
	path := filepath.Join(t.TempDir(), "policies.yaml")
	s.run(exitUsage, "scheduler", "--policies", path)
	s.says("no such file")
	if err := os.WriteFile(path, []byte(strings.Replace(testPolicies, "select", "selct", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitUsage, "scheduler", "--policies", path)
	s.says(path+":5: policies[0]", `did you mean "select"?`)
	if err := os.WriteFile(path, []byte(testPolicies), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitUsage, "scheduler", "--policies", path, "--parallel", "0")
	s.says("--parallel is 0")
	s.run(exitUsage, "scheduler", "--policies", path, "--shutdown-grace", "-1s")
	s.says("--shutdown-grace is -1s")
	s.run(exitUsage, "scheduler", "--policies", path, "--check", path)
	s.run(exitFailed, "scheduler", "--policies", path, "--kubeconfig", filepath.Join(t.TempDir(), "none"))
	s.says("find the cluster")
}
