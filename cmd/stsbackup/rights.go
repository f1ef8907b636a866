package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stsbackup/stsbackup/deploy"
	"github.com/stsbackup/stsbackup/internal/cluster"
)

// rightsAsker knows what a command needs to say which rights its user lacks.
type rightsAsker struct {
	kube *kubeFlags
	// verb is that of the command line, and args are what it names.
	verb string
	args []string
	// everywhere says that it is about all namespaces, dryRun that nothing was changed, so that missing rights may not have shown.
	everywhere, dryRun bool
}

// explain has an error that comes of a missing right name all that are missing, with the command that grants them: otherwise
// they come out one at a time. After a dry run that went well they are a warning.
func (r rightsAsker) explain(ctx context.Context, a *app, err error) error {
	if ctx.Err() != nil || !denied(err) && (err != nil || !r.dryRun) {
		return err
	}
	lines, askErr := r.missing(ctx)
	switch {
	case len(lines) == 0 || askErr != nil: // what was forbidden was another thing; or this cannot be asked, and the error has to do
		return err
	case err == nil:
		fmt.Fprintf(a.err, "warning: %s\n", strings.Join(lines, "\n"))
		return nil
	default:
		return fmt.Errorf("%w\n%s", err, strings.Join(lines, "\n"))
	}
}

// denied reports whether an error comes of a right that is missing.
func denied(err error) bool {
	var incomplete *incompleteError
	return apierrors.IsForbidden(err) || errors.As(err, &incomplete) && incomplete.denied
}

// missing says which rights are missing, in lines for a person; none if none is.
func (r rightsAsker) missing(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, askClusterWithin)
	defer cancel()
	rules, err := deploy.Rules(r.verb)
	if err != nil {
		return nil, err
	}
	client, namespace, err := cluster.Connect(r.kube.kubeconfig, r.kube.context)
	if err != nil {
		return nil, err
	}
	missing, err := client.MissingRights(ctx, r.rights(rules, cmp.Or(r.kube.namespace, namespace)))
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	account, err := client.Account(ctx)
	if err != nil {
		account = "--user=YOU"
	}
	lines := []string{"of the rights that " + deploy.ClusterRolePath + " gives, these are missing:"}
	for _, line := range cluster.RightsText(missing) {
		lines = append(lines, "  "+line)
	}
	return append(
		lines,
		fmt.Sprintf(
			"an administrator of the cluster gives them all with: kubectl apply -f %s && kubectl create clusterrolebinding stsbackup-rights "+
				"--clusterrole=stsbackup %s",
			deploy.ClusterRolePath,
			shellWord(account),
		),
		"docs/rbac.md says what each is for, what works without it, and how to grant them in one namespace",
	), nil
}

// rights are those that rules give in the namespaces that the command is about; namespace is that of names without one.
func (r rightsAsker) rights(rules []rbacv1.PolicyRule, namespace string) (rights []cluster.Right) {
	if r.everywhere {
		return cluster.RightsOf(rules, "")
	}
	var namespaces []string
	for _, arg := range r.args {
		if t, err := parseTarget(arg, ""); err == nil {
			namespaces = append(namespaces, cmp.Or(t.namespace, namespace))
		}
	}
	if len(namespaces) == 0 {
		namespaces = []string{namespace}
	}
	slices.Sort(namespaces)
	for _, namespace := range slices.Compact(namespaces) {
		rights = append(rights, cluster.RightsOf(rules, namespace)...)
	}
	return rights
}

// shellWord writes a word as a shell takes it.
func shellWord(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:@=/", r)
	}
	if !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
