//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/stsbackup/stsbackup/test/harness"
)

// operation is a command that needs a right.
type operation struct {
	args []string
	// well is a regular expression for its output with all rights.
	well string
	code int // with all rights
	// before prepares the namespace for it, after undoes that.
	before, after func(*scenario)
	// ended is for a command that runs until it is told to stop: it says when that is, and what to add to its output.
	ended func(s *scenario, output string) (more string, ended bool)
}

// operations are the commands whose failure shows that a right is missing. All use StatefulSet web, of two ordinals, or
// keep, whose claims and VolumeSnapshots are retained.
func operations(namespace string) map[string]operation {
	web := namespace + "/web"
	return map[string]operation{
		"backup --dry-run": {args: []string{"backup", web, "--dry-run", "-o", "json"}, well: `"zone": "zone-`},
		"backup":           {args: []string{"backup", web}, well: "complete"},
		"backup of what is retained": {
			args: []string{"backup", namespace + "/keep", "--snapshot-class", "reflink-retain"}, well: "complete",
		},
		"the progress of a backup": {
			// More than a mover holds in memory, so that it goes on for some seconds: movers report progress once a
			// second.
			args: []string{"backup", web, "--limit-upload", "8192", "-o", "json"}, well: `"stage":"move","data":{"files":\d+,"bytes":[1-9]`,
			before: func(s *scenario) { s.exec("web-0", "head -c 48000000 /dev/urandom > /data/noise; sync") },
		},
		"why a mover does not start": {
			args: []string{"backup", web, "--mover-start-timeout", "15s"}, well: "ValidatingAdmissionPolicy", code: 1,
			before: (*scenario).noMovers, after: (*scenario).moversAgain,
		},
		"the Events of the scheduler": {
			args: []string{
				"scheduler",
				"--policies",
				"policies.yaml",
				"--listen",
				"127.0.0.1:0",
				"--lease-namespace",
				namespace,
				"--shutdown-grace",
				"1s",
			},
			well: "Event UnknownPolicy",
			before: func(s *scenario) {
				s.kubectl("annotate", "statefulset", "keep", "stsbackup.io/policy=nobody-knows-it")
				s.kubectl("delete", "events", "--field-selector", "reason=UnknownPolicy")
			},
			after: func(s *scenario) { s.kubectl("annotate", "statefulset", "keep", "stsbackup.io/policy-") },
			ended: (*scenario).eventIsCounted,
		},
		"scheduler --check": {args: []string{"scheduler", "--check", "policies.yaml"}, well: web},
		"discard --dry-run": {
			args: []string{"discard", namespace + "/keep", "--dry-run"}, well: "Available to any claim",
			before: func(s *scenario) { s.asideVolume("keep") },
		},
		"restore --dry-run of what Argo CD has": managed(namespace, "Argo CD"),
		"restore --dry-run of a Kustomization":  managed(namespace, "a Kustomization"),
		"restore --dry-run of a HelmRelease":    managed(namespace, "a HelmRelease"),
		"restore --dry-run of what KEDA scales": managed(namespace, "a ScaledObject"),
		"restore --dry-run":                     {args: []string{"restore", web, "--dry-run"}, well: "scale to 2 replicas"},
		"restore":                               {args: []string{"restore", web, "--yes"}, well: "restored"},
	}
}

// managed is the plan of a restore of something that another tool manages.
func managed(namespace, tool string) operation {
	m := managersOf(namespace)[tool]
	return operation{
		args: []string{"restore", namespace + "/web", "--dry-run", "--ignore-manager"}, well: regexp.QuoteMeta(m.says),
		before: func(s *scenario) {
			s.apply(m.object)
			if m.mark != nil {
				s.kubectl(m.mark...)
			}
		},
		after: func(s *scenario) { s.kubectl(m.unmark...) },
	}
}

// eventIsCounted reports that an Event was made, and that its repetition was counted, or that either is forbidden.
// Until then, it alternately makes and removes the reason for the Event.
func (s *scenario) eventIsCounted(output string) (more string, ended bool) {
	counts := strings.Fields(s.kubectl("get", "events", "--field-selector", "reason=UnknownPolicy", "--output", "jsonpath={.items[*].count}"))
	if len(counts) == 0 || strings.Contains(output, "forbidden") {
		return "", strings.Contains(output, "forbidden")
	}
	if counts[0] != "1" {
		return "Event UnknownPolicy", true
	}
	if s.kubectl("get", "statefulset", "keep", "--output", `jsonpath={.metadata.annotations.stsbackup\.io/policy}`) == "" {
		s.kubectl("annotate", "statefulset", "keep", "stsbackup.io/policy=nobody-knows-it")
	} else {
		s.kubectl("annotate", "statefulset", "keep", "stsbackup.io/policy-")
	}
	return "", false
}

// need says which operation needs a rule, and how the operation shows that the rule is missing: by what it then says
// or, if that is empty, by not saying what it says with all rights.
type need struct {
	operation string
	says      string
	code      int
}

// needs holds the needs by the rules of deploy/base/clusterrole.yaml, as ruleName writes them.
func needs() map[string]need {
	return map[string]need{
		"namespaces kube-system: get": {"backup --dry-run", "identify the cluster", 1},
		"statefulsets.apps: get list": {"backup --dry-run", "read StatefulSet", 1},
		"namespaces: list watch":      {"scheduler --check", "labels of namespaces", 1},
		"services: get":               {"backup --dry-run", "read Service", 1},
		"nodes: get":                  {"backup --dry-run", "", 0}, // no zone
		"persistentvolumes: get":      {"backup --dry-run", "read volume", 1},
		"volumesnapshotclasses.snapshot.storage.k8s.io: list": {
			"backup --dry-run",
			"the right to list VolumeSnapshotClasses is missing",
			0,
		},
		"leases.coordination.k8s.io: get list watch create update delete":       {"backup", "create Lease", 1},
		"volumesnapshots.snapshot.storage.k8s.io: get list watch create delete": {"backup", "list VolumeSnapshots", 1},
		"volumesnapshotcontents.snapshot.storage.k8s.io: get patch":             {"backup of what is retained", "its data may stay", 0},
		"persistentvolumeclaims: get list watch create delete":                  {"backup --dry-run", "list the claims", 1},
		"persistentvolumes: list watch patch":                                   {"backup of what is retained", "its volume may stay", 0},
		"jobs.batch: get list create patch delete":                              {"backup", "list mover Jobs", 1},
		"secrets: create delete":                                                {"backup", "create mover Secret", 1},
		"serviceaccounts: list create delete":                                   {"backup", "list mover ServiceAccounts", 1},
		"pods: get list watch delete":                                           {"backup --dry-run", "read pod", 1},
		"pods/log: get":                                                         {"the progress of a backup", "", 0},
		"events: list":                                                          {"why a mover does not start", "", 1},
		"events: create patch":                                                  {"the Events of the scheduler", "forbidden", 0},
		"storageclasses.storage.k8s.io: list":                                   {"restore --dry-run", "list StorageClasses", 1},
		"horizontalpodautoscalers.autoscaling: list":                            {"restore --dry-run", "list the HorizontalPodAutoscalers", 1},
		"resourcequotas: list":                                                  {"restore --dry-run", "list the ResourceQuotas", 1},
		"pods: create": {
			"restore --dry-run",
			"the mover's pod for claim",
			0,
		}, // it could not ask whether it would be created
		"applications.argoproj.io: get list": {
			"restore --dry-run of what Argo CD has",
			"the right to get applications.argoproj.io",
			0,
		},
		"kustomizations.kustomize.toolkit.fluxcd.io: get": {
			"restore --dry-run of a Kustomization",
			"the right to get kustomizations",
			0,
		},
		"helmreleases.helm.toolkit.fluxcd.io: get": {
			"restore --dry-run of a HelmRelease",
			"the right to get helmreleases",
			0,
		},
		"scaledobjects.keda.sh: list": {
			"restore --dry-run of what KEDA scales",
			"the right to list scaledobjects",
			0,
		},
		"configmaps: get create update delete":   {"backup --dry-run", "journal of a restore", 1},
		"statefulsets.apps: watch patch":         {"restore", "forbidden", 1},
		"volumeattachments.storage.k8s.io: list": {"discard --dry-run", "list VolumeAttachments", 1},
	}
}

// ruleName is "resources names: verbs".
func ruleName(rule rbacv1.PolicyRule) string {
	var objects []string
	for _, resource := range rule.Resources {
		objects = append(
			objects,
			strings.TrimSpace(strings.TrimPrefix(string(rightOf("", rule.APIGroups[0], resource, strings.Join(rule.ResourceNames, " "))), " ")),
		)
	}
	return strings.Join(objects, " ") + ": " + strings.Join(rule.Verbs, " ")
}

// TestEveryRuleIsNeeded removes each rule in turn; the operation that needs it must fail, or say less.
func TestEveryRuleIsNeeded(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "rules")
	s.apply(workload{name: "web", replicas: 2}.manifest(), "web")
	s.apply(workload{name: "keep", replicas: 1, class: "reflink-retain"}.manifest(), "keep")
	s.writeFile(s.Dir, "policies.yaml", fmt.Sprintf(`apiVersion: stsbackup.io/v1
kind: Policies
repository: %s
policies: [{name: all, select: {namespaceLabels: {kubernetes.io/metadata.name: %s}}, schedule: "@daily"}]
`, s.Repo(s.Endpoint), s.Namespace))
	t.Cleanup(s.freeContents)
	all := rulesIn(t, deployed("base", "clusterrole.yaml"))
	s.roles(all)

	commands, known := operations(s.Namespace), needs()
	used := map[string]bool{}
	for i, rule := range all {
		n, ok := known[ruleName(rule)]
		if !ok {
			t.Errorf("no operation is known to need the rule %q", ruleName(rule))
			continue
		}
		delete(known, ruleName(rule))
		command := commands[n.operation]
		if !used[n.operation] { // once with all rights, for comparison
			used[n.operation] = true
			whole := s.as("whole", command)
			if whole.Code != command.code || !regexp.MustCompile(command.well).MatchString(whole.Stdout+whole.Stderr) ||
				n.says != "" && strings.Contains(whole.Stdout+whole.Stderr, n.says) {
				t.Fatalf("with all rights, %s:\n%s", n.operation, whole)
			}
		}
		broken := s.as(fmt.Sprintf("without-%d", i), command)
		text := broken.Stdout + broken.Stderr
		if broken.Code != n.code && broken.Code != 3 || !strings.Contains(text, n.says) ||
			n.says == "" && regexp.MustCompile(command.well).MatchString(text) {
			t.Errorf("without the rule %q, %s goes on as if nothing were missing:\n%s", ruleName(rule), n.operation, broken)
		}
	}
	for name := range known {
		t.Errorf("deploy/base has no rule %q", name)
	}
}

// runUntil runs stsbackup until ended tells it to stop, and then it must end by itself.
func (s *scenario) runUntil(environ, args []string, ended func(*scenario, string) (string, bool)) harness.Result {
	s.t.Helper()
	path := filepath.Join(s.Dir, "output")
	output, err := os.Create(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer output.Close()
	cmd := s.Command(s.ctx, args...)
	cmd.Env = append(cmd.Env, environ...)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	read := func() string {
		text, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		return string(text)
	}
	var more string
	s.until("stsbackup "+args[0]+" has done what is awaited", func() (done bool, why string) {
		more, done = ended(s, read())
		return done, read()
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	_ = cmd.Wait() // its exit code says it
	return harness.Result{Args: args, Code: cmd.ProcessState.ExitCode(), Stdout: more, Stderr: read()}
}

// inDir returns arguments with the path of the policy file.
func (s *scenario) inDir(args []string) []string {
	args = append([]string(nil), args...)
	for i, arg := range args {
		if arg == "policies.yaml" {
			args[i] = filepath.Join(s.Dir, arg)
		}
	}
	return args
}

// freeContents deletes VolumeSnapshotContents that stayed because a right was missing, with their data.
func (s *scenario) freeContents() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := s.KubectlInput(ctx, "", "get", "volumesnapshotcontents", "--output", "json")
	if err != nil {
		s.t.Error(err)
		return
	}
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ VolumeSnapshotRef struct{ Namespace string } }
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.t.Error(err)
	}
	for _, item := range list.Items {
		if item.Spec.VolumeSnapshotRef.Namespace != s.Namespace {
			continue
		}
		for _, args := range [][]string{
			{"patch", "volumesnapshotcontent", item.Metadata.Name, "--type=merge", "--patch", `{"spec":{"deletionPolicy":"Delete"}}`},
			{"delete", "volumesnapshotcontent", item.Metadata.Name, "--ignore-not-found", "--timeout=60s"},
		} {
			if _, err := s.KubectlInput(ctx, "", args...); err != nil {
				s.t.Error(err)
			}
		}
	}
}
