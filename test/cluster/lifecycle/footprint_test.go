//go:build lifecycle

package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/test/cluster/loopdev"
	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// host is what a cluster could leave on the machine.
type host struct {
	Mounts, Links, Rules []string // of the host, whoever made them
	Cgroups, Loops       []string // with the cluster's name
	Processes            []string // that mention the state folder
}

func lookAtHost(t *testing.T, c spec.Cluster) host {
	t.Helper()
	var h host
	mounts, err := os.ReadFile("/proc/self/mounts")
	check(t, err)
	h.Mounts = lines(string(mounts))
	links, err := os.ReadDir("/sys/class/net")
	check(t, err)
	for _, l := range links {
		h.Links = append(h.Links, l.Name())
	}
	rules, err := exec.Command("iptables-save").Output()
	check(t, err)
	for _, rule := range lines(string(rules)) {
		// Comments have the time, chains their counters.
		if !strings.HasPrefix(rule, "#") && !strings.HasPrefix(rule, ":") {
			h.Rules = append(h.Rules, rule)
		}
	}
	h.Cgroups, err = filepath.Glob("/sys/fs/cgroup/*/" + c.Name())
	check(t, err)
	h.Loops, err = loopdev.Tagged(c.Name() + "/")
	check(t, err)
	for pid := range processes(t) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(line), c.Dir) && pid != os.Getpid() {
			h.Processes = append(h.Processes, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	slices.Sort(h.Processes)
	return h
}

// leftNothing compares the host with its earlier state.
func leftNothing(t *testing.T, c spec.Cluster, before host, alive inhabitants) {
	t.Helper()
	if diff := cmp.Diff(before, lookAtHost(t, c)); diff != "" {
		t.Errorf("the cluster left something on the host (-before +after):\n%s", diff)
	}
	for pid, p := range processes(t) {
		for _, ns := range namespacesOf(pid) {
			// When a namespace has gone, the kernel gives its number to a new one: a namespace of ours has processes
			// from its own time.
			if alive.namespaces[ns] && p.started <= alive.at {
				line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				t.Errorf("process %d (%q) still lives in the cluster's namespace %s", pid, line, ns)
			}
		}
	}
	for _, path := range []string{c.Run(), c.Env(), c.Kubeconfig()} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

// inhabitants are the namespaces of a cluster, and when we looked at them, in clock ticks since the machine started.
type inhabitants struct {
	namespaces map[string]bool
	at         uint64
}

// inhabitantsOf finds the namespaces of the holder and of everything below it, except the host's.
func inhabitantsOf(t *testing.T, holder int) inhabitants {
	t.Helper()
	all := processes(t)
	below := func(pid int) bool {
		for pid > 1 && pid != holder {
			pid = all[pid].parent
		}
		return pid == holder
	}
	found := inhabitants{namespaces: map[string]bool{}}
	for pid, p := range all {
		found.at = max(found.at, p.started)
		if below(pid) {
			for _, ns := range namespacesOf(pid) {
				found.namespaces[ns] = true
			}
		}
	}
	for _, ns := range namespacesOf(os.Getpid()) {
		delete(found.namespaces, ns)
	}
	if len(found.namespaces) < 5 {
		t.Fatalf("the holder has only these namespaces of its own: %v", found.namespaces)
	}
	return found
}

func namespacesOf(pid int) []string {
	var all []string
	for _, kind := range []string{"net", "mnt", "pid", "uts", "ipc"} {
		if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind)); err == nil {
			all = append(all, ns)
		}
	}
	return all
}

type runningProcess struct {
	parent  int
	started uint64 // in clock ticks since the machine started
}

// processes lists every process.
func processes(t *testing.T) map[int]runningProcess {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	check(t, err)
	all := map[int]runningProcess{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		var p runningProcess
		p.parent, err = strconv.Atoi(fields[1])
		check(t, err)
		p.started, err = strconv.ParseUint(fields[19], 10, 64)
		check(t, err)
		all[pid] = p
	}
	return all
}

func lines(text string) []string {
	return strings.Split(strings.TrimSpace(text), "\n")
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
