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

// askWithin bounds how long the cluster is asked: the answer is a help, and nothing waits for it.
const askWithin = 10 * time.Second

// Cluster is who answers questions about rights. *cluster.Client is one.
type Cluster interface {
	// MissingRights are those that our account lacks.
	MissingRights(ctx context.Context, rights []cluster.Right) ([]cluster.Right, error)
	// Account is who we are, as kubectl create clusterrolebinding takes it.
	Account(ctx context.Context) (string, error)
}

// Request says for what rights are needed.
type Request struct {
	// Verb is that of the command line, such as backup.
	Verb string
	// Namespaces are those that it is about, in any order; none is the whole cluster.
	Namespaces []string
}

// Lack is which rights are missing.
type Lack struct {
	Rights []cluster.Right
	// Account is who lacks them, as kubectl create clusterrolebinding takes it.
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
		account = "--user=YOU" // what is missing is known all the same
	}
	return Lack{Rights: missing, Account: account}, nil
}

// needed are the rights that a request takes.
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

// Lines say which rights are missing and how to get them, for a person; none if none is.
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
