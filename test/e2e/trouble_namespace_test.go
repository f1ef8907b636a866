//go:build e2e

package e2e

import (
	"strings"
	"time"
)

// deletedWhenPlanned deletes a namespace so shortly before the minute that its StatefulSets are still there when the
// scheduler plans the next round: the namespace controller takes five seconds. It returns the time of the deletion.
func (in installation) deletedWhenPlanned(namespace string) time.Time {
	in.t.Helper()
	in.until("the minute is almost over", func() (bool, string) {
		second := time.Now().Second()
		return second == 57 || second == 58, ""
	})
	return in.deleteNamespace(namespace)
}

// deletedWhenCopied deletes a namespace when a mover of a StatefulSet is in it, and returns the time.
func (in installation) deletedWhenCopied(namespace, statefulSet string) time.Time {
	in.t.Helper()
	in.until("a mover is in "+namespace, func() (bool, string) { return in.moverIn(namespace, statefulSet), "none is" })
	return in.deleteNamespace(namespace)
}

func (in installation) deleteNamespace(name string) time.Time {
	in.t.Helper()
	at := time.Now()
	if _, err := in.KubectlInput(in.ctx, "", "delete", "namespace", name, "--wait=false"); err != nil {
		in.t.Fatal(err)
	}
	return at
}

// toldOfDeletion waits until the log says that a StatefulSet has been gone since a time, and why.
func (in installation) toldOfDeletion(since time.Time, name, why string) {
	in.t.Helper()
	in.until("the log says that "+name+" is gone", func() (bool, string) {
		var all []string
		for _, l := range in.log(since) {
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

// nothingOf checks that namespaces are gone with everything that belonged to them, also what has no namespace; and that
// the scheduler gave them up at once.
func (in installation) nothingOf(namespaces ...string) {
	in.t.Helper()
	for _, namespace := range namespaces {
		if _, err := in.KubectlInput(in.ctx, "", "wait", "--for=delete", "namespace/"+namespace, "--timeout=180s"); err != nil {
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
