//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// customKinds are the kinds of the tools that manage StatefulSets: plural with group, kind, version.
func customKinds() [][3]string {
	return [][3]string{
		{"applications.argoproj.io", "Application", "v1alpha1"},
		{"kustomizations.kustomize.toolkit.fluxcd.io", "Kustomization", "v1"},
		{"helmreleases.helm.toolkit.fluxcd.io", "HelmRelease", "v2"},
		{"scaledobjects.keda.sh", "ScaledObject", "v1alpha1"},
	}
}

// makeCustomKinds makes the kinds that the cluster does not have, without the tools. remove deletes them again.
func makeCustomKinds(ctx context.Context) (remove func() error, err error) {
	var made []string
	for _, kind := range customKinds() {
		plural, group, _ := strings.Cut(kind[0], ".")
		_, err := environment.KubectlInput(ctx, fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %s}
spec:
  group: %s
  scope: Namespaced
  names: {plural: %s, kind: %s}
  versions:
  - {name: %s, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`, kind[0], group, plural, kind[1], kind[2]), "create", "-f", "-")
		if err != nil && strings.Contains(err.Error(), "AlreadyExists") {
			continue
		}
		if err != nil {
			return nil, err
		}
		made = append(made, "crd/"+kind[0])
	}
	if len(made) == 0 {
		return func() error { return nil }, nil
	}
	if _, err := environment.KubectlInput(
		ctx,
		"",
		append([]string{"wait", "--for=condition=Established", "--timeout=60s"}, made...)...); err != nil {
		return nil, err
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var failures []error
		for _, kind := range made {
			_, err := environment.KubectlInput(ctx, "", "delete", kind)
			failures = append(failures, err)
		}
		return errors.Join(failures...)
	}, nil
}

// manager is an object that manages StatefulSet web, and the mark that it has left there.
type manager struct {
	object string
	// mark are arguments of kubectl label or annotate; unmark removes the mark.
	mark, unmark []string
	// says is the text of the refusal; off is the note in a plan when the manager is suspended.
	says, off string
}

// managersOf returns the managers by the name of the tool. All are in the namespace.
func managersOf(namespace string) map[string]manager {
	flux := func(prefix string) (mark, unmark []string) {
		return []string{
				"label",
				"statefulset",
				"web",
				prefix + ".toolkit.fluxcd.io/name=shop",
				prefix + ".toolkit.fluxcd.io/namespace=" + namespace,
			},
			[]string{
				"label",
				"statefulset",
				"web",
				prefix + ".toolkit.fluxcd.io/name-",
				prefix + ".toolkit.fluxcd.io/namespace-",
			}
	}
	kustomized, unkustomized := flux("kustomize")
	released, unreleased := flux("helm")
	const application = `{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: %s}, spec: {syncPolicy: {automated: ` +
		`{selfHeal: true}}}}`
	const tracking = "argocd.argoproj.io/tracking-id"
	return map[string]manager{
		"Argo CD": {
			object: fmt.Sprintf(application, "shop"), says: "Argo CD's Application " + namespace + "/shop manages it",
			mark:   []string{"annotate", "statefulset", "web", tracking + "=" + namespace + "_shop:apps/StatefulSet:" + namespace + "/web"},
			unmark: []string{"annotate", "statefulset", "web", tracking + "-"},
		},
		"Argo CD, by the name alone": {
			object: fmt.Sprintf(application, namespace), says: "argocd app set " + namespace + "/" + namespace + " --sync-policy none",
			mark:   []string{"annotate", "statefulset", "web", tracking + "=" + namespace + ":apps/StatefulSet:" + namespace + "/web"},
			unmark: []string{"annotate", "statefulset", "web", tracking + "-"},
		},
		"a Kustomization": {
			object: `{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: shop}, spec: {interval: 1m}}`,
			mark:   kustomized, unmark: unkustomized,
			says: "Flux's Kustomization " + namespace + "/shop manages it", off: "Kustomization " + namespace + "/shop is suspended",
		},
		"a HelmRelease": {
			object: `{apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease, metadata: {name: shop}, spec: {interval: 1m}}`,
			mark:   released, unmark: unreleased,
			says: "Flux's HelmRelease " + namespace + "/shop manages it", off: "HelmRelease " + namespace + "/shop is suspended",
		},
		"a ScaledObject": {
			object: `{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: load}, spec: {scaleTargetRef: {kind: StatefulSet, name: ` +
				`web}}}`,
			unmark: []string{"delete", "scaledobjects.keda.sh", "load"},
			says:   "KEDA's ScaledObject " + namespace + "/load manages it",
			off:    "ScaledObject " + namespace + "/load is suspended",
		},
	}
}

// shell runs, as the administrator, a command that stsbackup has told a person to type.
func (s *scenario) shell(command string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.ctx, "sh", "-c", strings.Replace(command, "kubectl", s.Env.Kubectl, 1))
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.Kubeconfig)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// TestRestoreManagers: a restore refuses as long as another tool would set the StatefulSet back in the middle. The
// commands that the refusal prints suspend the tool, and resume it.
func TestRestoreManagers(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "managers")
	s.apply(workload{name: "web", replicas: 1}.manifest(), "web")
	web := s.Namespace + "/web"
	s.run(0, nil, "backup", web)
	printed := regexp.MustCompile(`kubectl -n \S+ (patch \S+ \S+ --type=merge -p '[^']*'|annotate [^;]*)`)
	for name, m := range managersOf(s.Namespace) {
		t.Log(name)
		s.apply(m.object)
		if m.mark != nil {
			s.kubectl(m.mark...)
		}
		refused := s.run(5, []string{m.says, "restore; then resume it", "--ignore-manager"}, "restore", web, "--dry-run")
		s.run(5, []string{m.says}, "restore", web, "--yes")
		commands := printed.FindAllString(refused.Stderr, -1)
		if len(commands) != 2 {
			t.Fatalf("%d commands are printed, want one that suspends and one that resumes:\n%s", len(commands), refused)
		}
		s.shell(commands[0])
		s.run(0, []string{"from 1 to 0 replicas", m.off}, "restore", web, "--dry-run")
		s.shell(commands[1])
		s.run(5, []string{m.says}, "restore", web, "--dry-run")
		s.run(0, []string{"ignored, as you asked"}, "restore", web, "--dry-run", "--ignore-manager")
		s.kubectl(m.unmark...)
	}
	plan := s.run(0, nil, "restore", web, "--dry-run")
	if strings.Contains(plan.Stdout, "Note:") {
		t.Errorf("nothing manages it any more, and the plan has notes:\n%s", plan)
	}
	t.Log("one that is not in this cluster")
	argo := managersOf(s.Namespace)["Argo CD"]
	s.kubectl(argo.mark...)
	s.kubectl("delete", "applications.argoproj.io", "shop")
	s.run(5, []string{"could not be read", "perhaps it is managed from another cluster"}, "restore", web, "--yes")
	s.run(0, []string{"ignored, as you asked", "The old volumes are kept"}, "restore", web, "--yes", "--ignore-manager")
	s.nothingLeft()
}
