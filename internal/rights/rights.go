package rights

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/deploy"
	"github.com/stsbackup/stsbackup/internal/cluster"
)

// askWithin bounds how long we ask the cluster: the answer helps a person, but nothing depends on it.
const askWithin = 10 * time.Second

// Cluster answers questions about rights; *cluster.Client is one.
type Cluster interface {
	// MissingRights returns the rights that our account lacks.
	MissingRights(ctx context.Context, rights []cluster.Right) ([]cluster.Right, error)
	// Account is our identity, as an argument of kubectl create clusterrolebinding.
	Account(ctx context.Context) (string, error)
}

// Request says for what rights are needed.
type Request struct {
	// Verb is a verb of the command line, such as backup.
	Verb string
	// Namespaces are the namespaces that the verb works on, in any order; none means the whole cluster.
	Namespaces []string
}

// Lack says which rights are missing.
type Lack struct {
	Rights []cluster.Right
	// Account is the identity that lacks them, as an argument of kubectl create clusterrolebinding.
	Account string
}

// Missing asks which rights are missing. If none is, the Lack has none.
func Missing(ctx context.Context, c Cluster, request Request) (Lack, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	needed, err := needed(request)
	if err != nil {
		return Lack{}, err
	}
	missing, err := c.MissingRights(ctx, needed)
	if err != nil || len(missing) == 0 {
		return Lack{}, err
	}
	account, err := c.Account(ctx)
	if err != nil {
		account = "--user=YOU" // the missing rights are known all the same
	}
	return Lack{Rights: missing, Account: account}, nil
}

// needed are the rights that a request needs.
func needed(request Request) (rights []cluster.Right, err error) {
	rules, err := deploy.Rules(request.Verb)
	if err != nil {
		return nil, err
	}
	if len(request.Namespaces) == 0 {
		return cluster.RightsOf(rules, ""), nil
	}
	for _, namespace := range slices.Compact(slices.Sorted(slices.Values(request.Namespaces))) {
		rights = append(rights, cluster.RightsOf(rules, namespace)...)
	}
	return rights, nil
}

// Lines say for a person which rights are missing and how to get them; there are no lines if none is missing.
func (l Lack) Lines() []string {
	if len(l.Rights) == 0 {
		return nil
	}
	lines := []string{"of the rights that " + deploy.ClusterRolePath + " gives, these are missing:"}
	for _, line := range cluster.RightsText(l.Rights) {
		lines = append(lines, "  "+line)
	}
	return append(
		lines,
		fmt.Sprintf(
			"an administrator of the cluster gives them all with: kubectl apply -f %s && kubectl create clusterrolebinding stsbackup-rights "+
				"--clusterrole=stsbackup %s",
			deploy.ClusterRolePath,
			shellWord(l.Account),
		),
		"docs/rbac.md says what each is for, what works without it, and how to grant them in one namespace",
	)
}

// shellWord quotes a word for a shell.
func shellWord(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:@=/", r)
	}
	if !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
