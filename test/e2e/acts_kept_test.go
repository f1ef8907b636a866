//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
)

// linesOf returns the lines of a stream, until its end.
func linesOf(r io.Reader) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text := bufio.NewScanner(r); text.Scan(); {
			if !yield(text.Text()) {
				return
			}
		}
	}
}

// persistentVolume is what the test reads from one.
type persistentVolume struct {
	Metadata struct {
		Name        string
		Labels      map[string]string
		Annotations map[string]string
	}
	Spec struct {
		ClaimRef                      struct{ Namespace, Name, UID string }
		PersistentVolumeReclaimPolicy string
		StorageClassName              string
	}
	Status struct{ Phase string }
}

// isAside reports whether a volume belongs to no claim, is kept, and can be found by its marks.
func (v persistentVolume) isAside() bool {
	return v.Status.Phase != "Bound" && v.Spec.PersistentVolumeReclaimPolicy == "Retain" &&
		v.Metadata.Labels["stsbackup.io/displaced-from"] != "" && v.Metadata.Labels["stsbackup.io/statefulset"] == "web"
}

// volumes returns the volumes of the scenario's claims, also of claims that no longer exist.
func (s *actors) volumes() []persistentVolume {
	s.t.Helper()
	var list struct{ Items []persistentVolume }
	if err := json.Unmarshal([]byte(s.kubectl("get", "pv", "-o", "json")), &list); err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(v persistentVolume) bool { return v.Spec.ClaimRef.Namespace != s.Namespace })
}

// kept checks that each volume that was there before belongs to a claim, or is kept where people find it.
func (s *actors) kept(volumes []persistentVolume) {
	s.t.Helper()
	for name, content := range s.before {
		i := slices.IndexFunc(volumes, func(v persistentVolume) bool { return v.Metadata.Name == name })
		switch {
		case s.wished[name]:
		case i < 0:
			s.t.Errorf("volume %s, which holds %q, is gone", name, content)
		case volumes[i].Status.Phase != "Bound" && !volumes[i].isAside():
			s.t.Errorf("volume %s, which holds %q, is nobody's: %+v", name, content, volumes[i])
		}
	}
}

// allKept checks that everything that was there before, and every line that a pod ever wrote, is on a volume that
// belongs to a claim, or is kept where people find it. It reads all volumes; after that the StatefulSet is unusable.
func (s *actors) allKept() {
	s.t.Helper()
	volumes := s.volumes()
	s.kept(volumes)
	holds := s.contents(volumes)
	for name, content := range s.before {
		if !s.wished[name] && !strings.Contains(holds[name], content+"\n") {
			s.t.Errorf("volume %s held %q, and holds:\n%s", name, content, holds[name])
		}
	}
	all := strings.Join(slices.Collect(maps.Values(holds)), "\n")
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.wrote) < 2 {
		s.t.Errorf("only %d pods were seen to write", len(s.wrote))
	}
	for uid, pod := range s.wrote {
		if !strings.Contains(all, "pod "+uid) && len(s.wished) == 0 {
			s.t.Errorf("%s, pod %s, has written a line that is nowhere any more; there are: %v", pod, uid, holds)
		}
	}
}

// reads is the script that shows what the volumes below a folder hold.
const reads = `for d in %s; do echo "volume $(basename $d)"; cat $d/own $d/lines 2>/dev/null; done; true`

// contents reads all volumes that are kept. For that it binds volumes that are set aside to claims of their own.
func (s *actors) contents(volumes []persistentVolume) map[string]string {
	s.t.Helper()
	var manifests, mounts, pod strings.Builder
	add := func(name, claim string) {
		fmt.Fprintf(&mounts, "      - {name: %s, mountPath: /all/%s}\n", name, name)
		fmt.Fprintf(&pod, "  - {name: %s, persistentVolumeClaim: {claimName: %s}}\n", name, claim)
	}
	holds := map[string]string{}
	for _, v := range volumes {
		name := v.Metadata.Name
		switch {
		case v.isAside():
			s.kubectl("patch", "pv", name, "--type=merge", "-p", fmt.Sprintf(
				`{"spec":{"claimRef":{"namespace":%q,"name":%q,"uid":null,"resourceVersion":null}}}`, s.Namespace, "look-"+name))
			fmt.Fprintf(&manifests, `apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: look-%[1]s}
spec: {accessModes: [ReadWriteOnce], storageClassName: %[2]s, volumeName: %[1]s, resources: {requests: {storage: 64Mi}}}
---
`, name, v.Spec.StorageClassName)
			add(name, "look-"+name)
		case v.Status.Phase == "Bound":
			if pod := s.runsOn(v.Spec.ClaimRef.Name); pod != "" {
				holds[name] = s.exec(pod, "cat /data/own /data/lines 2>/dev/null; true") + "\n"
				continue
			}
			// Nobody can use a claim any more once it is being deleted.
			if ending := s.kubectl(
				"get",
				"pvc",
				v.Spec.ClaimRef.Name,
				"--ignore-not-found",
				"-o",
				"jsonpath={.metadata.uid}{.metadata.deletionTimestamp}",
			); ending == v.Spec.ClaimRef.UID {
				add(name, v.Spec.ClaimRef.Name)
			}
		}
	}
	if mounts.Len() == 0 {
		return holds
	}
	fmt.Fprintf(&manifests, `apiVersion: v1
kind: Pod
metadata: {name: look}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: look
    image: busybox:1.35
    imagePullPolicy: IfNotPresent
    command: [sh, -c, %q]
    volumeMounts:
%s  volumes:
%s`, fmt.Sprintf(reads, "/all/*"), &mounts, &pod)
	s.apply(manifests.String())
	s.kubectl("wait", "pod/look", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s")
	for _, text := range strings.Split(s.kubectl("logs", "look")+"\n", "volume ")[1:] {
		name, content, _ := strings.Cut(text, "\n")
		holds[name] = content
	}
	return holds
}

// runsOn returns the StatefulSet's pod that has mounted a claim, if there is one.
func (s *actors) runsOn(claim string) string {
	s.t.Helper()
	pod := strings.TrimPrefix(claim, "data-")
	if s.kubectl("get", "pod", pod, "--ignore-not-found", "-o", "jsonpath={.status.phase}") == "Running" {
		return pod
	}
	return ""
}

// dataSet says which generation both ordinals hold, each its own data.
func (s *actors) dataSet() string {
	s.t.Helper()
	var sets []string
	for ordinal := range 2 {
		got := s.exec(fmt.Sprintf("web-%d", ordinal), "cat /data/own 2>/dev/null || echo nothing")
		generation, of, _ := strings.Cut(got, " of ordinal ")
		if of != "" && of != fmt.Sprint(ordinal) {
			s.t.Errorf("web-%d holds %q", ordinal, got)
		}
		sets = append(sets, generation)
	}
	return strings.Join(slices.Compact(sets), " and ")
}

// journal returns the phase of the operation in the journal, "" if there is none.
func (s *actors) journal() string {
	s.t.Helper()
	return s.kubectl("get", "configmap", "stsbackup-restore-web", "--ignore-not-found", "-o", "jsonpath={.data.phase}")
}
