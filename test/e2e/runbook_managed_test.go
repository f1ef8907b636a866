//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
)

func managedByOthers(b *runbook) {
	b.replicas = 1
	b.begin()
	b.backup("good")
	web := b.Namespace + "/web"
	refused := func() { b.run(5, []string{"--ignore-manager"}, "restore", web, "--dry-run") }
	agreed := func() { b.run(0, []string{"from 1 to 0 replicas"}, "restore", web, "--dry-run") }
	tools := managersOf(b.Namespace)
	for situation, tool := range map[string]string{
		"argocd": "Argo CD", "kustomization": "a Kustomization", "helmrelease": "a HelmRelease", "keda": "a ScaledObject",
	} {
		b.apply(tools[tool].object)
		if tools[tool].mark != nil {
			b.kubectl(tools[tool].mark...)
		}
		refused()
		b.follow(situation, nil, outcome{then: agreed}, outcome{then: refused})
		b.kubectl(tools[tool].unmark...)
	}

	b.kubectl("autoscale", "statefulset", "web", "--min=1", "--max=3")
	refused()
	b.follow("autoscaler", nil, outcome{then: agreed}, outcome{then: refused})
	b.kubectl("delete", "hpa", "web")

	owner := b.kubectl("get", "configmap", "kube-root-ca.crt", "-o", "jsonpath={.metadata.uid}")
	b.kubectl(
		"patch",
		"statefulset",
		"web",
		"--type=merge",
		"-p",
		fmt.Sprintf(
			`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"kube-root-ca.crt","uid":%q,"controller":true}]}}`,
			owner,
		),
	)
	refused()
	b.follow("operator", nil, outcome{then: agreed})

	b.kubectl("autoscale", "statefulset", "web", "--min=1", "--max=1")
	refused()
	b.write("bad")
	b.follow("ignore-manager", nil)
	b.holds("good")
	b.kubectl("delete", "hpa", "web")

	b.apply("{apiVersion: v1, kind: LimitRange, metadata: {name: small}, spec: {limits: [{type: Container, max: {memory: 512Mi}}]}}")
	b.write("bad")
	b.follow("not-admitted", nil, outcome{code: 5, says: []string{"512Mi"}}, outcome{says: []string{"limitrange/small"}})
	b.holds("good")
	b.nothingLeft()
}

func staticVolumes(b *runbook) {
	b.freeVolumes("a", "b")
	b.begin("spec: {accessModes:", "spec: {storageClassName: manual, selector: {matchLabels: {of: "+b.Namespace+"}}, accessModes:")
	b.backup("good", "--method", "live")
	b.write("bad")
	b.run(5, []string{"create 2 more PersistentVolumes of class manual"}, "restore", b.Namespace+"/web", "--dry-run")
	b.freeVolumes("spare-a", "spare-b")
	b.follow("static", nil, outcome{says: []string{b.Namespace + "-spare-a"}}, outcome{says: []string{b.Namespace + "-spare-a"}})
	b.holds("good")
	b.nothingLeft()

	folder := filepath.Join(b.Dir, "volume")
	for _, dir := range []string{"lost+found", "data/deep"} {
		if err := os.MkdirAll(filepath.Join(folder, dir), 0o700); err != nil {
			b.t.Fatal(err)
		}
	}
	b.writeFile(folder, "data/deep/.file", "no longer needed")
	b.follow("static-empty", []string{"/where/it/is/mounted", folder})
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 || left[0].Name() != "lost+found" {
		b.t.Errorf("%v, and in the folder are %v", err, left)
	}
}
