//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// running describes StatefulSet web in a way that stays the same as long as nobody touches it: its pods, whether any
// has restarted, and its claims.
func (s *scenario) running() string {
	s.t.Helper()
	return s.kubectl("get", "pods", "--selector", "app=web", "--output",
		`jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[*].restartCount}{"\n"}{end}`) + "\n" +
		s.kubectl("get", "pvc", "--output", `jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.metadata.deletionTimestamp}{"\n"}{end}`)
}

// TestRestoreAdmission: before a restore begins, it knows what the API server would refuse to create in the middle of
// it.
func TestRestoreAdmission(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "admission")
	_, now := s.newSet(set{class: "reflink", management: "Parallel", retention: "Retain"})
	web := s.Namespace + "/web"
	before, storage := s.running(), s.storage()
	refused := func(texts []string, args ...string) {
		t.Helper()
		s.run(5, texts, append([]string{"restore", web, "--dry-run"}, args...)...)
		s.run(5, texts, append([]string{"restore", web, "--yes"}, args...)...)
		if got := s.running(); got != before {
			t.Fatalf("a refused restore has changed\n%s\ninto\n%s", before, got)
		}
		if got := s.storage(); got != storage {
			t.Fatalf("a refused restore has changed\n%s\ninto\n%s", storage, got)
		}
	}
	limits := func(spec string) {
		t.Helper()
		s.apply("apiVersion: v1\nkind: LimitRange\nmetadata: {name: range}\nspec: {limits: [" + spec + "]}\n")
	}
	quota := func(hard string) {
		t.Helper()
		s.apply("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: full}\nspec: {hard: {" + hard + "}}\n")
		s.until("the quota is counted", func() (bool, string) {
			status := s.kubectl("get", "resourcequota", "full", "--output", "jsonpath={.status}")
			return status != "" && status != "{}", status
		})
	}

	t.Log("a LimitRange that came after the claims")
	limits("{type: PersistentVolumeClaim, min: {storage: 1Gi}}")
	refused(
		[]string{
			"claim " + s.Namespace + "/data-web-0",
			"minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 64Mi",
			"nor 5 more like it",
			"describe limitrange",
		},
	)
	s.kubectl("delete", "limitrange", "range")

	t.Log("a LimitRange below what movers may use")
	limits("{type: Container, max: {memory: 64Mi}}")
	refused(
		[]string{"the mover's pod for claim " + s.Namespace + "/data-web-0", "maximum memory usage per Container is 64Mi", "--mover-limits"},
	)
	s.kubectl("delete", "limitrange", "range")

	t.Log("quotas")
	quota(`limits.cpu: "1"`)
	refused([]string{"must specify limits.cpu", "--mover-limits"})
	refused([]string{"ResourceQuota " + s.Namespace + "/full", "limits.cpu would come to 2, and it allows 1"}, "--mover-limits", "cpu=2")
	s.kubectl("delete", "resourcequota", "full")
	quota(`count/secrets: "0"`)
	refused([]string{"the mover's Secret", "exceeded quota: full"})
	s.kubectl("delete", "resourcequota", "full")

	t.Log("Pod Security")
	s.kubectl("label", "namespace", s.Namespace, "pod-security.kubernetes.io/enforce=restricted")
	refused([]string{"violates PodSecurity", "enforce=baseline", "nor 2 more like it"})
	s.kubectl("label", "namespace", s.Namespace, "pod-security.kubernetes.io/enforce-")

	t.Log("a policy")
	s.policy("no-movers", "!has(object.metadata.labels) || !('stsbackup.io/mover' in object.metadata.labels)")
	s.until("pods of movers are denied", func() (bool, string) {
		out, err := s.Kubectl(s.ctx, "run", "probe", "--image=none", "--labels=stsbackup.io/mover=x", "--dry-run=server")
		return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy"), fmt.Sprint(out, err)
	})
	refused([]string{"the mover's pod for claim", "ValidatingAdmissionPolicy '" + s.Namespace + "-no-movers'", "exempt objects with the " +
		"label"})
	s.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", s.Namespace+"-no-movers")

	t.Log("a policy that lets nobody but controllers create pods, other than as a dry run")
	s.policy("dry-run-only", "request.dryRun || request.userInfo.username.startsWith('system:serviceaccount:kube-system:')")
	s.until("no pod can be created", func() (bool, string) {
		out, err := s.Kubectl(s.ctx, "run", "probe", "--image=none", "--restart=Never", `--overrides={"spec":{"schedulerName":"none"}}`)
		if err == nil {
			s.kubectl("delete", "pod", "probe", "--grace-period=0", "--force")
		}
		return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy"), fmt.Sprint(out, err)
	})
	s.until("movers are admitted again", func() (bool, string) {
		result, err := s.Run(s.ctx, nil, "restore", web, "--dry-run")
		return err == nil && result.Code == 0, fmt.Sprint(result, err)
	})

	t.Log("a quota that is full only as long as the StatefulSet runs")
	quota(`pods: "3", persistentvolumeclaims: "3"`)
	s.run(0, []string{"The old volumes are kept"}, "restore", web, "--yes")
	s.waitReady("web")
	if got := s.read(); got["web-0"] == now["web-0"] {
		t.Error("the restore has brought nothing back")
	}
	s.nothingLeft()
}

// policy makes a ValidatingAdmissionPolicy for the pods of the namespace.
func (s *scenario) policy(name, expression string) {
	s.t.Helper()
	name = s.Namespace + "-" + name
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := s.KubectlInput(
			ctx,
			"",
			"delete",
			"validatingadmissionpolicybinding,validatingadmissionpolicy",
			name,
			"--ignore-not-found",
		); err != nil {
			s.t.Error(err)
		}
	})
	if _, err := s.KubectlInput(s.ctx, fmt.Sprintf(`apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  validations: [{expression: %[3]q}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec:
  policyName: %[1]s
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[2]s}}}
`, name, s.Namespace, expression), "create", "-f", "-"); err != nil {
		s.t.Fatal(err)
	}
}
