//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// runbookScenes play everything that docs/restore.md tells.
func runbookScenes() []scene {
	return []scene{
		{"data", []string{"bad-data", "bad-data-earlier", "only-one", "without-cluster"}, badData},
		{"waits", []string{"suspend", "wait", "suspend-end"}, waitsForBackup},
		{"undone", []string{"undo", "undo-again", "undo-operation", "listed", "discard-old", "discard"}, undone},
		{"lost", []string{"claim-terminating", "claim-taken-back", "claims-gone", "recreated"}, lostClaims},
		{"killed", []string{"pods-wait", "interrupted-asks", "interrupted-resume", "interrupted-undo", "api-server"}, killedRestores},
		{"byhand", []string{"by-hand-journal", "by-hand-stop", "by-hand-back", "by-hand-start", "by-hand-end"}, byHand},
		{"kept", []string{"interrupted-keep", "lost-node"}, keptRunning},
		{"unready", []string{"not-ready-undo", "not-ready"}, notReadyAgain},
		{
			"managed",
			[]string{"argocd", "kustomization", "helmrelease", "keda", "autoscaler", "operator", "ignore-manager", "not-admitted"},
			managedByOthers,
		},
		{"static", []string{"static", "static-empty"}, staticVolumes},
	}
}

// pods returns the StatefulSet's pods.
func (b *runbook) pods() (names []string) {
	for ordinal := range b.replicas {
		names = append(names, fmt.Sprintf("web-%d", ordinal))
	}
	return names
}

// begin starts the StatefulSet, whose pods fail if their data is broken.
func (b *runbook) begin(replacements ...string) {
	b.t.Helper()
	b.apply(strings.NewReplacer(append(replacements, "replicas: 3", fmt.Sprintf("replicas: %d", b.replicas))...).Replace(crashing), "web")
}

// write gives every ordinal data of its own.
func (b *runbook) write(what string) {
	b.t.Helper()
	b.waitReady("web")
	for _, pod := range b.pods() {
		b.exec(pod, fmt.Sprintf("echo %s of %s > /data/own; sync", what, pod))
	}
}

// backup writes data and saves it.
func (b *runbook) backup(what string, args ...string) {
	b.t.Helper()
	b.write(what)
	b.run(0, nil, append([]string{"backup", b.Namespace + "/web"}, args...)...)
}

// holds checks that the ordinals run with this data, in order; a single value is for all.
func (b *runbook) holds(what ...string) {
	b.t.Helper()
	b.waitReady("web")
	for ordinal, pod := range b.pods() {
		want := what[min(ordinal, len(what)-1)] + " of " + pod
		if got := b.exec(pod, "cat /data/own"); got != want {
			b.t.Fatalf("%s holds %q, and should hold %q", pod, got, want)
		}
	}
}

// volume is the volume of an ordinal's claim.
func (b *runbook) volume(ordinal int) string {
	b.t.Helper()
	return b.kubectl("get", "pvc", fmt.Sprintf("data-web-%d", ordinal), "-o", "jsonpath={.spec.volumeName}")
}

// by is the operation that has set a volume aside.
func (b *runbook) by(volume string) string {
	b.t.Helper()
	return b.kubectl("get", "pv", volume, "-o", `jsonpath={.metadata.annotations.stsbackup\.io/displaced-by}`)
}

// stop scales the StatefulSet to 0.
func (b *runbook) stop() {
	b.t.Helper()
	b.kubectl("scale", "statefulset", "web", "--replicas=0")
	b.kubectl("wait", "--for=delete", "pod/web-0", "pod/web-1", "--timeout=180s")
}

// kill kills a restore with SIGKILL after it has filled the first of two volumes.
func (b *runbook) kill() {
	b.t.Helper()
	p := b.start("restore", b.Namespace+"/web", "--yes", "--parallel", "1")
	p.until("data-web-1: preparing")
	p.signal(syscall.SIGKILL)
	p.end()
}

func badData(b *runbook) {
	b.begin()
	b.backup("good")
	at := time.Now().UTC().Format(time.RFC3339)
	b.backup("bad")
	b.write("worse")
	b.follow("bad-data", nil, outcome{says: []string{"complete"}}, outcome{says: []string{"from 2 to 0 replicas"}})
	b.holds("bad")
	b.follow("bad-data-earlier", []string{"2026-11-21T08:00:00Z", at})
	b.holds("good")
	b.follow("only-one", nil, outcome{then: func() { b.holds("bad") }})
	b.holds("good", "bad")
	b.nothingLeft()

	b.follow("without-cluster", []string{"/somewhere", "somewhere"})
	if got, err := os.ReadFile(filepath.Join(b.Dir, "somewhere", "own")); err != nil || string(got) != "bad of web-0\n" {
		b.t.Errorf("the folder holds %q (%v)", got, err)
	}
}

func undone(b *runbook) {
	b.begin()
	b.backup("good")
	b.write("bad")
	first := b.volume(0)
	b.run(0, nil, "restore", b.Namespace+"/web", "--yes")
	b.holds("good")
	b.follow("undo", nil, outcome{says: []string{first, "replaced"}})
	b.holds("bad")
	b.follow("undo-again", nil)
	b.holds("good")
	b.follow("undo-operation", []string{"ID", b.by(first)})
	b.holds("bad")
	b.run(0, nil, "restore", b.Namespace+"/web", "--yes")
	b.holds("good")

	b.follow("listed", nil, outcome{says: []string{"replaced", "undone"}}, outcome{says: []string{first}})
	names, err := b.Displaced(b.ctx)
	if err != nil || len(names) != 4 {
		b.t.Fatalf("%v, and these are set aside: %s", err, strings.Join(names, " "))
	}
	b.follow("discard-old", nil, outcome{says: []string{"nothing to free"}})
	b.follow("discard", []string{"ID", b.by(first)}, outcome{says: names}, outcome{says: []string{"Freed 1 volume", first}})
	if left, err := b.Displaced(b.ctx); err != nil || len(left) > 0 {
		b.t.Fatalf("%v; still set aside: %s", err, strings.Join(left, " "))
	}
	b.holds("good")
	b.nothingLeft()
}

func waitsForBackup(b *runbook) {
	b.begin()
	b.backup("good")
	good := b.Namespace + "/web@" + time.Now().UTC().Format(time.RFC3339)
	b.write("bad")
	b.exec("web-0", "dd if=/dev/urandom of=/data/large bs=1M count=6; sync") // this takes a minute at the rate below
	b.follow("suspend", nil)
	b.run(4, []string{b.Namespace + "/web is skipped: its annotation stsbackup.io/policy=none"}, "backup", "--all", "-n", b.Namespace)
	p := b.start("backup", b.Namespace+"/web", "--limit-upload", "100")
	p.until("data-web-0: preparing the mover")
	b.run(5, []string{"another operation is running", "--wait"}, "restore", good, "--yes")
	b.follow("wait", []string{"demo/web", good}, outcome{says: []string{"waiting for it to end"}})
	if code := p.end(); code != 0 {
		b.t.Errorf("the backup that was waited for ended with exit code %d", code)
	}
	b.holds("good")
	b.follow("suspend-end", nil)
	b.nothingLeft()
}

func lostClaims(b *runbook) {
	b.begin()
	b.backup("good")
	b.write("bad")
	kept := b.volume(1)
	b.kubectl("delete", "pvc", "data-web-1", "--wait=false")
	b.run(5, []string{"vanish", "patch pv " + kept}, "restore", b.Namespace+"/web", "--yes")
	b.follow("claim-terminating", []string{"VOLUME", kept}, outcome{says: []string{"Terminating", kept}})
	b.holds("good")
	if got := b.kubectl("get", "pv", kept, "-o", "jsonpath={.status.phase}"); got != "Released" {
		b.t.Errorf("volume %s is %s", kept, got)
	}

	again := b.volume(1)
	b.kubectl("delete", "pvc", "data-web-1", "--wait=false")
	b.kubectl("patch", "pv", again, "-p", `{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}`)
	b.stop()
	b.kubectl("wait", "--for=delete", "pvc/data-web-1", "--timeout=180s")
	b.follow("claim-taken-back", []string{"VOLUME", again}, outcome{}, outcome{}, outcome{}, outcome{says: []string{"Bound", again}})
	b.holds("good")

	for _, lost := range [][]string{{"data-web-1"}, {"data-web-0", "data-web-1"}} {
		b.stop()
		b.kubectl(append([]string{"delete", "pvc"}, lost...)...)
		b.follow("claims-gone", nil)
		b.holds("good")
	}

	b.kubectl("delete", "statefulset", "web")
	b.kubectl("wait", "--for=delete", "pod/web-0", "pod/web-1", "--timeout=180s")
	b.kubectl("delete", "pvc", "data-web-0", "data-web-1")
	b.writeFile(b.Dir, "web.yaml", strings.Replace(crashing, "replicas: 3", "replicas: 2", 1))
	b.follow("recreated", nil)
	b.holds("good")
	b.nothingLeft()
}

func killedRestores(b *runbook) {
	b.begin()
	b.backup("good")
	b.write("bad")
	b.kill()
	b.kubectl("scale", "statefulset", "web", "--replicas=2")
	b.created("pod/web-0")
	b.follow("pods-wait", nil, outcome{says: []string{"SchedulingGated"}}, outcome{says: []string{"PodScheduled   False"}},
		outcome{says: []string{"HeldForRestore"}}, outcome{says: []string{"stsbackup.io/restoring"}}, outcome{says: []string{"fill"}})
	b.follow("interrupted-asks", nil, outcome{types: "resume\nyes\n", says: []string{"go on with it", "bring back what was there before it"}})
	b.holds("good")

	b.write("bad")
	b.kill()
	b.run(5, []string{"--resume", "stsbackup undo " + b.Namespace + "/web"}, "restore", b.Namespace+"/web", "--yes")
	b.follow("interrupted-resume", nil)
	b.holds("good")

	b.write("worse")
	b.kill()
	b.follow("interrupted-undo", nil)
	b.holds("worse")

	b.kill()
	b.follow("api-server", nil, outcome{says: []string{"ok"}})
	b.holds("good")
	b.nothingLeft()
}

func byHand(b *runbook) {
	b.begin("spec: {accessModes:", "spec: {storageClassName: reflink-immediate, accessModes:") // so that each claim has a volume at once
	b.backup("good")
	b.write("bad")
	old := []string{b.volume(0), b.volume(1)}
	b.kill()
	b.kubectl("wait", "pvc/data-web-0", "pvc/data-web-1", "--for=jsonpath={.status.phase}=Bound", "--timeout=180s")
	b.follow("by-hand-journal", nil, outcome{says: append([]string{"fill", "displaced"}, old...)})
	b.follow("by-hand-stop", nil)
	for ordinal := range b.replicas {
		b.follow(
			"by-hand-back",
			[]string{"OLD", old[ordinal], "NEW", b.volume(ordinal), "data-web-0", fmt.Sprintf("data-web-%d", ordinal)},
			outcome{says: old[ordinal : ordinal+1]},
		)
	}
	b.follow("by-hand-start", nil, outcome{says: []string{"stsbackup.io/restoring"}})
	b.holds("bad")
	b.follow("by-hand-end", nil)
	b.run(0, nil, "backup", b.Namespace+"/web", "--dry-run")
}

func keptRunning(b *runbook) {
	b.begin()
	b.backup("good")
	b.kill()
	b.kubectl("patch", "statefulset", "web", "--type=json", "-p", `[{"op":"remove","path":"/spec/template/spec/schedulingGates"}]`)
	b.kubectl("scale", "statefulset", "web", "--replicas=2")
	b.write("kept")
	b.follow("interrupted-keep", nil)
	b.holds("kept")
	b.nothingLeft()

	b.kill()
	mover := b.losesANode()
	b.follow("lost-node", []string{"MOVER", mover}, outcome{says: []string{b.Namespace}}, outcome{says: []string{mover}})
	b.holds("good")
	b.nothingLeft()
}

// losesANode makes a mover's pod of the killed restore be on a node that is not Ready. It returns the pod's name.
func (b *runbook) losesANode() string {
	b.t.Helper()
	node := b.Namespace
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := b.KubectlInput(ctx, "", "delete", "node", node, "--ignore-not-found"); err != nil {
			b.t.Error(err)
		}
	})
	b.apply(
		fmt.Sprintf(
			"{apiVersion: v1, kind: Node, metadata: {name: %s}, spec: {unschedulable: true, taints: [{key: lost, effect: NoSchedule}]}}",
			node,
		),
	)
	b.kubectl(
		"patch",
		"node",
		node,
		"--subresource=status",
		"-p",
		`{"status":{"conditions":[{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown"}]}}`,
	)
	var journal struct{ Operation string }
	if err := json.Unmarshal(
		[]byte(b.kubectl("get", "configmap", "stsbackup-restore-web", "-o", `jsonpath={.data.journal\.json}`)),
		&journal,
	); err != nil {
		b.t.Fatal(err)
	}
	op := cluster.Operation{ID: journal.Operation, Namespace: b.Namespace, StatefulSet: "web"}
	job := op.VolumeName(1, "data")
	labels := op.VolumeLabels(1, "data-web-1")
	labels[cluster.LabelMover] = job
	marks, err := json.Marshal(labels)
	if err != nil {
		b.t.Fatal(err)
	}
	pod := (job + "-")[:min(len(job)+1, 58)] + "lost"
	b.apply(
		fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: %s, labels: %s, annotations: {%s: web, %s: data-web-1}}, spec: {nodeName: %s,
containers: [{name: mover, image: none, volumeMounts: [{name: volume, mountPath: /volume}]}],
volumes: [{name: volume, persistentVolumeClaim: {claimName: data-web-1}}]}}`,
			pod, marks, cluster.AnnotationStatefulSet, cluster.AnnotationClaim, node),
	)
	return pod
}

func notReadyAgain(b *runbook) {
	b.begin()
	b.write("good")
	for _, pod := range b.pods() {
		b.exec(pod, "touch /data/broken; sync")
	}
	b.run(0, nil, "backup", b.Namespace+"/web")
	for _, pod := range b.pods() {
		b.exec(pod, "rm /data/broken; sync")
	}
	b.write("present")
	b.follow(
		"not-ready-undo",
		[]string{"5m", "20s"},
		outcome{code: 1, says: []string{"web-0", "stsbackup brought the old volumes back"}},
		outcome{says: []string{"undone"}},
	)
	b.holds("present")
	b.run(1, []string{"web-0"}, "restore", b.Namespace+"/web", "--yes", "--ready-timeout", "15s")
	b.follow("not-ready", nil)
	b.holds("present")
	b.nothingLeft()
}
