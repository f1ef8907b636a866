//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/stsbackup/stsbackup/test/harness"
)

// as runs an operation with the rights of one of the accounts that roles has made.
func (s *scenario) as(account string, command operation) harness.Result {
	s.t.Helper()
	if command.before != nil {
		command.before(s)
	}
	if command.after != nil {
		defer command.after(s)
	}
	environ, args := []string{"KUBECONFIG=" + s.kubeconfigAs(account)}, s.inDir(command.args)
	if command.ended != nil {
		return s.runUntil(environ, args, command.ended)
	}
	result, err := s.Run(s.ctx, environ, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return result
}

// kubeconfigAs lets the administrator act as an account of the scenario's namespace.
func (s *scenario) kubeconfigAs(account string) string {
	s.t.Helper()
	path := filepath.Join(s.Dir, account+".kubeconfig")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	config, err := clientcmd.LoadFromFile(s.Kubeconfig)
	if err != nil {
		s.t.Fatal(err)
	}
	config.AuthInfos = map[string]*clientcmdapi.AuthInfo{config.Contexts[config.CurrentContext].AuthInfo: func() *clientcmdapi.AuthInfo {
		user := config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo].DeepCopy()
		user.Impersonate = "system:serviceaccount:" + s.Namespace + ":" + account
		return user
	}()}
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// roles makes the accounts "whole", which has all rules, and "without-0" and so on, each of which lacks one.
func (s *scenario) roles(all []rbacv1.PolicyRule) {
	s.t.Helper()
	var manifests bytes.Buffer
	var names []string
	add := func(account string, rules []rbacv1.PolicyRule) {
		name := s.Namespace + "-" + account
		names = append(names, name)
		role := rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
		role.APIVersion, role.Kind = "rbac.authorization.k8s.io/v1", "ClusterRole"
		binding := rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: s.Namespace, Name: account}},
		}
		binding.APIVersion, binding.Kind = role.APIVersion, "ClusterRoleBinding"
		for _, object := range []any{role, binding} {
			text, err := yaml.Marshal(object)
			if err != nil {
				s.t.Fatal(err)
			}
			manifests.WriteString("---\n")
			manifests.Write(text)
		}
	}
	add("whole", all)
	for i := range all {
		rest := append(append([]rbacv1.PolicyRule(nil), all[:i]...), all[i+1:]...)
		add(fmt.Sprintf("without-%d", i), rest)
	}
	s.t.Cleanup(func() { s.removeClusterRights(names...) })
	if _, err := s.KubectlInput(s.ctx, manifests.String(), "apply", "-f", "-"); err != nil {
		s.t.Fatal(err)
	}
}
