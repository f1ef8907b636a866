//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// shortGrace is an addition to a kustomization: with it a scheduler that is told to stop cancels what has not ended in
// a second, and needs nine seconds to copy 300 kB: more than it takes to tell it.
const shortGrace = `patches:
- target: {kind: Deployment, name: stsbackup}
  patch: |
    - {op: replace, path: /spec/template/spec/containers/0/args/2, value: --shutdown-grace=1s}
    - {op: add, path: /spec/template/spec/containers/0/args/-, value: --limit-upload=32}
`

// keepsChanging replaces 300 kB of a pod's data every few seconds, until the pod ends: each backup has that much to
// copy. The data on the disk is complete at every moment.
func (s *scenario) keepsChanging(pod string) {
	s.t.Helper()
	s.exec(pod, `change() { head -c 300000 /dev/urandom > /data/next && sync && mv /data/next /data/noise && sync; }
change
while sleep 5; do change; done </dev/null >/dev/null 2>&1 &`)
}

// takesItsTime gives the scheduler the documentation's time to stop, and waits until the pods that have less are gone.
func (in installation) takesItsTime() {
	in.t.Helper()
	before := strings.Fields(in.inOwn("get", "pods", "--selector=app.kubernetes.io/component=scheduler", "--output=name"))
	text, err := os.ReadFile(filepath.Join(in.dir, "kustomization.yaml"))
	if err != nil {
		in.t.Fatal(err)
	}
	changed := strings.Replace(string(text), shortGrace, "", 1)
	if changed == string(text) {
		in.t.Fatalf("there is nothing to take out of the kustomization:\n%s", text)
	}
	in.writeFile(in.dir, "kustomization.yaml", changed)
	commands := in.commands("scheduler")
	apply := slices.Index(commands, "kubectl apply -k .")
	if apply < 0 {
		in.t.Fatalf("none of the commands applies the kustomization:\n%s", strings.Join(commands, "\n"))
	}
	for _, command := range commands[apply:] {
		in.shell(command)
	}
	in.until("the pods of before are gone", func() (bool, string) { // the rollout does not wait for their end
		left := strings.Fields(in.inOwn("get", "pods", "--selector=app.kubernetes.io/component=scheduler", "--output=name"))
		return !slices.ContainsFunc(left, func(pod string) bool { return slices.Contains(before, pod) }), strings.Join(left, " ")
	})
}

// handover is how long it may take from the leader's last line to its successor's first. If the leader did not give the
// Lease back, it would be the Lease's 15 s, less the 2 s after which it is renewed.
const handover = 10 * time.Second

// deleteLeader deletes the leader's pod in the middle of a backup that takes longer than its grace of one second. It
// returns the time of the deletion, and checks that the leader has cancelled the backup and said so.
func (in installation) deleteLeader() time.Time {
	in.t.Helper()
	in.keepsChanging("alpha-0")
	in.inMidBackup()
	pod, _, _ := strings.Cut(in.leader(), "_")
	var log bytes.Buffer
	follow := exec.CommandContext(in.ctx, in.Env.Kubectl, "--kubeconfig", in.Kubeconfig, "--namespace", own, "logs", pod, "--follow")
	follow.Stdout = &log
	if err := follow.Start(); err != nil {
		in.t.Fatal(err)
	}
	at := time.Now()
	in.inOwn("delete", "pod", pod, "--timeout=180s")
	in.t.Logf("the pod was gone after %s", time.Since(at).Round(time.Second))
	if err := follow.Wait(); err != nil {
		in.t.Fatal(err)
	}
	lines := slices.DeleteFunc(in.lines(log.String()), func(l line) bool { return l.Time.Before(at.Truncate(time.Second)) })
	cancelled := slices.ContainsFunc(lines, func(l line) bool {
		return l.Msg == "backup" && l.StatefulSet == in.Namespace+"/alpha" && l.Result == "cancelled"
	})
	if !cancelled || lines[len(lines)-1].Msg != "scheduler stopped" {
		in.t.Fatalf("the leader has not cancelled its backup and stopped:\n%s", texts(lines))
	}
	in.succeeds(lines[len(lines)-1].Time)
	return at
}

// succeeds waits until another scheduler leads, and checks that it did not have to wait for the Lease.
func (in installation) succeeds(stopped time.Time) {
	in.t.Helper()
	in.inOwn("rollout", "status", "deployment/stsbackup", "--timeout=180s") // a pod that does not run yet has no log to read
	var leads time.Time
	in.until("another leads", func() (bool, string) {
		lines := in.log(stopped)
		for _, l := range lines {
			if l.Msg == "leading" {
				leads = l.Time
			}
		}
		return !leads.IsZero(), texts(lines)
	})
	if took := leads.Sub(stopped); took > handover {
		in.t.Errorf("the successor leads after %s: the Lease was not given back", took)
	}
}

// toldOfTheEnd checks that the successor has found nothing that it had to remove.
func (in installation) toldOfTheEnd(deleted time.Time) {
	in.t.Helper()
	for _, l := range in.log(deleted) {
		if strings.Contains(l.Msg, "dead operation") {
			in.t.Errorf("what was cancelled has left something: %s", l.text)
		}
	}
}
