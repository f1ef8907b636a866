//go:build e2e

package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// slowBackup is an addition to a kustomization: with it the CronJob needs more than half a minute to copy the 300 kB of
// a volume.
const slowBackup = `patches:
- target: {kind: CronJob, name: stsbackup}
  patch: |
    - {op: add, path: /spec/jobTemplate/spec/template/spec/initContainers/0/args/-, value: --limit-upload=8}
`

// TestRemoveCronJob shows what docs/install.md says about the CronJob's Jobs while nothing has the label, and ends the
// CronJob while it backs up. That takes the namespace away from other tests, so this one does not run beside them.
func TestRemoveCronJob(t *testing.T) {
	s := newScenario(t, "remove")
	s.apply(workload{name: "alpha", replicas: 2}.manifest(), "alpha")
	s.baseAtEnd()
	t.Cleanup(s.uninstall)

	// 1. Nothing has the label.
	in := s.install("cronjob", s.repoOf("cronjob"), lastInKustomization, lastInKustomization+slowBackup)
	const failed = `jsonpath={.status.conditions[?(@.type=="Failed")].status}`
	in.until("the Job has failed", func() (bool, string) {
		return in.inOwn("get", "job", "first-backup", "--output", failed) == "True", in.inOwn("get", "pods", "--output=wide")
	})
	exit := in.inOwn(
		"get",
		"pods",
		"--selector=job-name=first-backup",
		"--output=jsonpath={.items[*].status.initContainerStatuses[*].state.terminated.exitCode}",
	)
	log := in.inOwn("logs", "job/first-backup", "--container=backup")
	if exit != "4" || !strings.Contains(log, "StatefulSets in the cluster has the labels stsbackup.io/backup=enabled") {
		t.Errorf("exit code %s, and the log says:\n%s", exit, log)
	}
	in.inOwn("delete", "job", "first-backup")

	// 2. Something has it, and its backup is running.
	s.enabled("alpha")
	commands := in.commands("cronjob")
	in.shell(commands[len(commands)-1])
	in.until("a mover is there", func() (bool, string) { return in.moverIn(s.Namespace, "alpha"), "none is" })
	in.remove("cronjob", func() {})
	s.runWith(in.environ(s.Endpoint, s.PodEndpoint), 0, []string{"no recovery points"}, "list", s.Namespace+"/alpha")
}

// remove does what docs/install.md says about the end of one way of installation, and checks that nothing is left. When
// everything has ended, and before it deletes the rights, it calls ended.
func (in installation) remove(way string, ended func()) {
	in.t.Helper()
	const objects = "kubectl get -k . --ignore-not-found --output=name"
	if before := in.shell(objects); !strings.Contains(before, "namespace/"+own+"\n") {
		in.t.Fatalf("these are not the objects of an installation:\n%s", before)
	}
	commands := in.commands("remove-" + way)
	begun := time.Now()
	for i, command := range commands {
		if i == len(commands)-1 {
			in.t.Logf("it ended within %s", time.Since(begun).Round(time.Second))
			in.nothingBehind()
			ended()
		}
		in.shell(command)
	}
	if left := in.shell(objects); left != "" {
		in.t.Errorf("left in the cluster:\n%s", left)
	}
}

// baseAtEnd installs deploy/base again when the test is over: the other tests run with its rights.
func (s *scenario) baseAtEnd() {
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		phase, err := s.KubectlInput(ctx, "", "get", "namespace", own, "--ignore-not-found", "--output=jsonpath={.status.phase}")
		if err == nil && phase == "Terminating" { // a test has failed while the namespace was being deleted
			_, err = s.KubectlInput(ctx, "", "wait", "--for=delete", "namespace/"+own, "--timeout=90s")
		}
		if err != nil {
			s.t.Error(err)
		}
		if _, err := s.OperatorKubeconfig(ctx, filepath.Dir(s.Operator), deployed("base")); err != nil {
			s.t.Error(err)
		}
	})
}
