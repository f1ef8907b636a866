//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// set describes a StatefulSet of three ordinals, named web, with one claim template, data.
type set struct {
	class      string
	management string // podManagementPolicy
	retention  string // whenScaled and whenDeleted
	image      string // "" is busybox
}

func (d set) manifest() string {
	return fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 3
  podManagementPolicy: %s
  persistentVolumeClaimRetentionPolicy: {whenScaled: %[2]s, whenDeleted: %[2]s}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: shell
        image: %s
        imagePullPolicy: IfNotPresent
        command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"]
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data, labels: {tier: db}}
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: %s
      resources: {requests: {storage: 64Mi}}
`, d.management, d.retention, cmp.Or(d.image, "busybox:1.35"), d.class)
}

// pods returns the StatefulSet's pods, in order.
func pods() []string { return []string{"web-0", "web-1", "web-2"} }

// write gives every ordinal data of its own, of many kinds, owners, modes and times; generation makes each writing
// different.
func (s *scenario) write(generation string) {
	s.t.Helper()
	for ordinal, pod := range pods() {
		s.exec(pod, fmt.Sprintf(`set -e; cd /data
find . -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +
mkdir -p deep/er empty; echo "%[1]s of ordinal %[2]d" > own; echo secret-%[2]d > deep/er/secret
head -c %[3]d /dev/urandom > deep/blob; ln -s ../own deep/link; ln own deep/hard; : > void; mkfifo pipe
chown 10%[2]d:20%[2]d own; chmod 0640 own; chown 999:999 deep/er; chmod 02770 deep/er; chmod 04755 deep/blob
touch -d '2021-03-04 05:06:0%[2]d' own deep/er/secret void; touch -d '2022-02-02 02:02:02' empty deep/er; sync`,
			generation, ordinal, 300_000+ordinal*1_000_000))
	}
}

// read returns everything that can be known about each ordinal's files.
func (s *scenario) read() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, pod := range pods() {
		all[pod] = s.exec(pod, `cd /data && find . -path ./lost+found -prune -o -print | sort | while read -r f; do
  stat -c '%N %F %a %u:%g %Y %h' "$f"; [ -f "$f" ] && [ ! -L "$f" ] && sha256sum "$f"; done; true`)
	}
	for i, pod := range pods() {
		if !strings.Contains(all[pod], "./own") || strings.Contains(all[pod], all[pods()[(i+1)%3]]) {
			s.t.Fatalf("%s has no data of its own:\n%s", pod, all[pod])
		}
	}
	return all
}

// holds checks that each ordinal has exactly this data.
func (s *scenario) holds(want map[string]string) {
	s.t.Helper()
	s.waitReady("web")
	got := s.read()
	for _, pod := range pods() {
		if got[pod] != want[pod] {
			s.t.Errorf("%s holds\n%s\nand should hold\n%s", pod, got[pod], want[pod])
		}
	}
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// storage is what can be known about the StatefulSet's claims and their volumes: what a put-back has to bring back.
func (s *scenario) storage() string {
	s.t.Helper()
	var text strings.Builder
	text.WriteString(
		s.kubectl("get", "statefulset", "web", "-o", "jsonpath={.spec.replicas} {.spec.persistentVolumeClaimRetentionPolicy}{\"\\n\"}"),
	)
	for ordinal := range 3 {
		claim := fmt.Sprintf("data-web-%d", ordinal)
		line := s.kubectl("get", "pvc", claim, "-o", "jsonpath={.metadata.name} {.metadata.labels} {.status.phase} {.spec.volumeName}")
		fields := strings.Fields(line)
		fmt.Fprintf(&text, "\n%s %s", line, s.kubectl("get", "pv", fields[len(fields)-1], "-o",
			"jsonpath={.status.phase} {.spec.persistentVolumeReclaimPolicy} {.metadata.labels} {.metadata.annotations}"))
	}
	return text.String()
}

// displaced checks how many volumes are set aside, and that nothing would delete any of them.
func (s *scenario) displaced(want int) []string {
	s.t.Helper()
	names, err := s.Displaced(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(names) != want {
		s.t.Fatalf("%d displaced volumes (%s), want %d", len(names), strings.Join(names, " "), want)
	}
	for _, name := range names {
		if got := s.kubectl("get", "pv", name, "-o", "jsonpath={.status.phase} {.spec.persistentVolumeReclaimPolicy}"); got != "Released Retain" {
			s.t.Fatalf("displaced volume %s is %s", name, got)
		}
	}
	return names
}

// newSet starts a StatefulSet, backs up its data, to which more may add, and then overwrites it. It returns the data in
// the recovery point and the data that is there now.
func (s *scenario) newSet(d set, more ...func()) (saved, now map[string]string) {
	s.t.Helper()
	s.apply(d.manifest(), "web")
	s.write("first")
	for _, add := range more {
		add()
	}
	saved = s.read()
	s.run(0, nil, "backup", s.Namespace+"/web")
	s.write("second")
	return saved, s.read()
}

func TestRestoreInPlace(t *testing.T) {
	for _, d := range []set{
		{class: "reflink", management: "OrderedReady", retention: "Delete"}, // WaitForFirstConsumer
		{class: "reflink-immediate", management: "Parallel", retention: "Retain"},
		{class: "reflink-retain", management: "Parallel", retention: "Retain"},
	} {
		t.Run(d.class, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, "inplace")
			s.kubectl("label", "namespace", s.Namespace, "pod-security.kubernetes.io/enforce=baseline")
			d.image = "redis:7.0" // for its tar
			var kinds string
			saved, _ := s.newSet(d, func() { kinds = s.writeKinds("web-1") })
			web := s.Namespace + "/web"

			before := s.storage()
			plan := s.run(0, []string{"data-web-2", "scale " + web + " from 3 to 0", "this cluster"}, "restore", web, "--dry-run")
			s.run(2, []string{"--yes"}, "restore", web)
			if got := s.storage(); got != before {
				t.Fatalf("a dry run has changed\n%s\ninto\n%s", before, got)
			}

			report := s.run(0, []string{"The old volumes are kept"}, "restore", web, "--yes")
			s.holds(saved)
			if got := s.readKinds("web-1"); got != kinds {
				t.Errorf("web-1 holds\n%s\nand should hold\n%s", got, kinds)
			}
			s.nothingLeft()
			want := fmt.Sprintf("3 {\"whenDeleted\":%q,\"whenScaled\":%q}", d.retention, d.retention)
			if got := s.kubectl(
				"get",
				"statefulset",
				"web",
				"-o",
				"jsonpath={.spec.replicas} {.spec.persistentVolumeClaimRetentionPolicy}",
			); got != want {
				t.Errorf("replicas and retention policy: %s, want %s", got, want)
			}
			if got, want := s.kubectl("get", "pvc", "data-web-1", "-o", "jsonpath={.metadata.labels}"), `{"app":"web","tier":"db"}`; got != want {
				t.Errorf("labels of a restored claim: %s, want %s", got, want)
			}
			for _, name := range s.displaced(3) {
				if !strings.Contains(plan.Stdout, name) || !strings.Contains(report.Stdout, name) {
					t.Errorf("displaced volume %s is not in the plan or not in the report", name)
				}
			}
			s.freeDisplaced(report.Stdout)
		})
	}
}

// freeDisplaced runs the commands that a report prints, which must make the displaced volumes vanish.
func (s *scenario) freeDisplaced(report string) {
	s.t.Helper()
	names := s.displaced(3)
	for line := range strings.Lines(report) {
		command, _, found := strings.Cut(strings.TrimSpace(line), "  # was ")
		if !found {
			continue
		}
		s.shell(command)
	}
	s.kubectl(append([]string{"wait", "--for=delete", "--timeout=180s", "pv"}, names...)...)
}

func TestRestoreAfterLoss(t *testing.T) {
	for _, d := range []set{
		{class: "reflink", management: "Parallel", retention: "Retain"},
		{class: "reflink-immediate", management: "OrderedReady", retention: "Delete"},
	} {
		t.Run(d.class, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, "loss")
			saved, _ := s.newSet(d)
			web := s.Namespace + "/web"

			t.Log("one claim is gone, with its volume, and the StatefulSet is scaled away")
			s.kubectl("patch", "statefulset", "web", "-p", `{"spec":{"replicas":0,"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Retain"}}}`)
			s.kubectl("wait", "--for=delete", "pod/web-0", "pod/web-1", "pod/web-2", "--timeout=180s")
			s.kubectl("delete", "pvc", "data-web-1")
			s.run(0, []string{"no claim", "0 replicas now"}, "restore", web, "--yes")
			s.holds(saved)
			s.displaced(2)

			t.Log("a volume is gone under its claim")
			s.kubectl("scale", "statefulset", "web", "--replicas=0")
			s.kubectl("wait", "--for=delete", "pod/web-0", "pod/web-1", "pod/web-2", "--timeout=180s")
			lost := s.kubectl("get", "pvc", "data-web-2", "-o", "jsonpath={.spec.volumeName}")
			s.kubectl("delete", "pv", lost, "--wait=false")
			s.kubectl("patch", "pv", lost, "-p", `{"metadata":{"finalizers":null}}`)
			s.kubectl("wait", "pvc/data-web-2", "--for=jsonpath={.status.phase}=Lost", "--timeout=180s")
			s.run(0, []string{"volume lost"}, "restore", web, "--yes")
			s.holds(saved)
			s.displaced(4)

			t.Log("everything is gone")
			s.kubectl("scale", "statefulset", "web", "--replicas=0")
			s.kubectl("wait", "--for=delete", "pod/web-0", "pod/web-1", "pod/web-2", "--timeout=180s")
			s.kubectl("delete", "pvc", "data-web-0", "data-web-1", "data-web-2")
			s.run(0, []string{"no claim"}, "restore", web, "--yes")
			s.holds(saved)
			s.displaced(4)
			s.nothingLeft()
		})
	}
}

func TestRestoreStaticVolumes(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "static")
	s.freeVolumes("a", "b", "c")
	d := set{class: "manual", management: "Parallel", retention: "Retain"}
	selected := strings.Replace(d.manifest(), "storageClassName: manual", "storageClassName: manual\n      "+s.ownVolumes(), 1)
	s.apply(selected, "web")
	s.write("first")
	saved := s.read()
	web := s.Namespace + "/web"
	s.run(0, []string{"live"}, "backup", web, "--method", "live")
	s.write("second")
	now := s.read()

	before := s.storage()
	s.run(5, []string{"not enough Available", "create 3 more PersistentVolumes of class manual"}, "restore", web, "--yes")
	if got := s.storage(); got != before {
		t.Fatalf("a refused restore has changed\n%s\ninto\n%s", before, got)
	}
	s.holds(now)

	s.freeVolumes("spare-a", "spare-b", "spare-c")
	t.Log("Ctrl-C: the spare volumes are free again, and the first, which was complete, is empty")
	p := s.start("restore", web, "--yes")
	p.until("data-web-1: preparing")
	p.signal(syscall.SIGINT)
	if code := p.end(); code != 130 {
		t.Fatalf("exit code %d:\n%s", code, &p.said)
	}
	s.holds(now)
	if got := s.storage(); got != before {
		t.Fatalf("an interrupted restore has changed\n%s\ninto\n%s", before, got)
	}

	t.Log("kill -9 at the same point: what was begun on the spare volumes is removed, and filled again")
	p = s.start("restore", web, "--yes")
	p.until("data-web-1: preparing")
	p.signal(syscall.SIGKILL)
	p.end()
	s.run(0, []string{s.Namespace + "-spare-a"}, "restore", web, "--resume", "--yes")
	s.holds(saved)
	s.displaced(3)
	s.nothingLeft()
}
