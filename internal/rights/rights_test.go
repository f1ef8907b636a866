package rights

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// account may do some things and not others.
type account struct {
	may   func(cluster.Right) bool
	fails error
	name  string
	asked []cluster.Right
}

func (a *account) MissingRights(ctx context.Context, rights []cluster.Right) (missing []cluster.Right, err error) {
	if _, limited := ctx.Deadline(); !limited {
		return nil, errors.New("asked without a limit")
	}
	a.asked = rights
	for _, right := range rights {
		if !a.may(right) {
			missing = append(missing, right)
		}
	}
	return missing, a.fails
}

func (a *account) Account(context.Context) (string, error) {
	if a.name == "" {
		return "", errors.New("nobody knows")
	}
	return a.name, nil
}

// mayRead is a user with the role view in namespace demo.
func mayRead(right cluster.Right) bool {
	return right.Namespace == "demo" && slices.Contains([]string{"get", "list", "watch"}, right.Verb)
}

func TestMissing(t *testing.T) {
	a := &account{may: mayRead, name: "--user=o'neil"}
	lack, err := Missing(t.Context(), a, Request{Verb: "backup", Namespaces: []string{"other", "demo", "other"}})
	if err != nil {
		t.Fatal(err)
	}
	text := "\n" + strings.Join(lack.Lines(), "\n") + "\n"
	for _, want := range []string{
		"deploy/base/clusterrole.yaml", "\n  in namespace demo: create, delete secrets\n",
		"\n  in namespace other: get, list statefulsets.apps\n",
		"\n  in the whole cluster: get namespaces kube-system\n", `--clusterrole=stsbackup '--user=o'\''neil'`, "docs/rbac.md",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:%s", want, text)
		}
	}
	if strings.Contains(text, "demo: get") {
		t.Errorf("it names what is not missing:%s", text)
	}
	for i, right := range a.asked {
		if slices.Index(a.asked, right) != i && right.Namespace == "other" {
			t.Errorf("asked twice: %+v", right)
		}
	}
	// Without a namespace, the rights are needed in the whole cluster.
	if _, err := Missing(t.Context(), a, Request{Verb: "backup"}); err != nil ||
		slices.ContainsFunc(a.asked, func(r cluster.Right) bool { return r.Namespace != "" }) {
		t.Errorf("everywhere: %v, %+v", err, a.asked)
	}
}

func TestMissingNothing(t *testing.T) {
	all := &account{may: func(cluster.Right) bool { return true }}
	if lack, err := Missing(t.Context(), all, Request{Verb: "restore", Namespaces: []string{"demo"}}); err != nil || lack.Lines() != nil {
		t.Errorf("%v, %v", lack, err)
	}
	// The missing rights are known even if we do not know who we are.
	unknown := &account{may: mayRead}
	if lack, err := Missing(t.Context(), unknown, Request{Verb: "restore"}); err != nil || lack.Account != "--user=YOU" {
		t.Errorf("%v, %v", lack.Account, err)
	}
	away := &account{may: mayRead, fails: errors.New("away")}
	if lack, err := Missing(t.Context(), away, Request{Verb: "restore"}); !errors.Is(err, away.fails) || len(lack.Rights) > 0 {
		t.Errorf("%v, %v", lack, err)
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"--user=alice@example.com": "--user=alice@example.com", "--user=o'neil": `'--user=o'\''neil'`, "--user=$(reboot)": "'--user=$(reboot)'",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("%s: %s, want %s", word, got, want)
		}
	}
}
