//go:build e2e

package e2e

import (
	"strings"
	"time"
)

// deletedWhenPlanned deletes a namespace so shortly before the minute that its StatefulSets are still there when the next
// round is planned: the namespace controller takes its time for five seconds.
func (in installation) deletedWhenPlanned(namespace string) {
	in.t.Helper()
	in.until("the minute is almost over", func() (bool, string) {
		second := time.Now().Second()
		return second == 57 || second == 58, ""
	})
	in.deleteNamespace(namespace)
}

// deletedWhenCopied deletes a namespace when a mover runs in it.
func (in installation) deletedWhenCopied(namespace string) {
	in.t.Helper()
	in.until("a mover runs in "+namespace, func() (bool, string) {
		out, err := in.KubectlInput(in.ctx, "", "--namespace", namespace, "get", "pods", "--selector", "stsbackup.io/mover",
			"--field-selector", "status.phase=Running", "--output", "name")
		if err != nil {
			in.t.Fatal(err)
		}
		return out != "", "none does"
	})
	in.deleteNamespace(namespace)
}

func (in installation) deleteNamespace(name string) {
	in.t.Helper()
	if _, err := in.KubectlInput(in.ctx, "", "delete", "namespace", name, "--wait=false"); err != nil {
		in.t.Fatal(err)
	}
}

// toldOfDeletion waits until the log says that a StatefulSet is gone, and why.
func (in installation) toldOfDeletion(name, why string) {
	in.t.Helper()
	begun := time.Now().Add(-time.Minute)
	in.until("the log says that "+name+" is gone", func() (bool, string) {
		var all []string
		for _, l := range in.log(begun) {
			if l.StatefulSet != name {
				continue
			}
			all = append(all, l.text)
			if l.Msg == "backup" && l.Result == "gone" {
				if !strings.Contains(l.Error, why) {
					in.t.Errorf("%s is said to be gone because of %q, not of %q", name, l.Error, why)
				}
				return true, ""
			}
		}
		return false, strings.Join(all, "\n")
	})
}

// nothingOf demands that namespaces are gone with all that was of them, also what has no namespace; and that they were given
// up at once.
func (in installation) nothingOf(namespaces ...string) {
	in.t.Helper()
	for _, namespace := range namespaces {
		if _, err := in.KubectlInput(in.ctx, "", "wait", "--for=delete", "namespace/"+namespace, "--timeout=60s"); err != nil {
			in.t.Error(err)
		}
	}
	out, err := in.KubectlInput(in.ctx, "", "get", "persistentvolumes,volumesnapshotcontents.snapshot.storage.k8s.io", "--output",
		`jsonpath={range .items[*]}{.kind} {.metadata.name} {.spec.claimRef.namespace}{.spec.volumeSnapshotRef.namespace}{"\n"}{end}`)
	if err != nil {
		in.t.Fatal(err)
	}
	for object := range strings.Lines(out) {
		for _, namespace := range namespaces {
			if strings.HasSuffix(strings.TrimSpace(object), " "+namespace) {
				in.t.Errorf("left in the cluster: %s", object)
			}
		}
	}
}
