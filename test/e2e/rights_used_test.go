//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// audited is one line of the API server's audit log.
type audited struct {
	User, ImpersonatedUser struct{ Username string }
	Verb                   string
	ObjectRef              struct{ APIGroup, Resource, Subresource, Name string }
	RequestURI             string
	ResponseStatus         struct{ Code int }
}

// createdPods are pods that were created without a dry run. No operation does that: Kubernetes creates the pods of
// Jobs.
const createdPods = "pods, not as a dry run"

// everyRightUsed fails if deploy/base grants a verb on a resource that no test has used, in a cluster whose API server
// writes an audit log there. TestEveryRuleIsNeeded cannot see a superfluous verb in a rule that is needed.
func everyRightUsed(logs string) error {
	if logs == "" {
		return nil // a user's own cluster
	}
	rules, err := readRules(deployed("base", "clusterrole.yaml"))
	if err != nil {
		return err
	}
	log, err := os.Open(filepath.Join(logs, "audit.log"))
	if err != nil {
		return fmt.Errorf("read what rights were used: %w", err)
	}
	defer log.Close()
	used, err := rightsUsed(log)
	if err != nil {
		return fmt.Errorf("read what rights were used: %w", err)
	}
	return errors.Join(unused(rightsOf(rules), used), undue(used))
}

// undue returns an error if a pod was created without a dry run.
func undue(used map[right]bool) error {
	if r := right("create " + createdPods); used[r] {
		return fmt.Errorf("stsbackup has used the right to %s: %s", r, neverGranted(r))
	}
	return nil
}

// unused returns an error that names the rights that nobody used.
func unused(granted, used map[right]bool) error {
	left := maps.Clone(granted)
	maps.DeleteFunc(left, func(r right, _ bool) bool { return used[r] })
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("no test has used these rights, of %d that deploy/base grants: %q", len(granted), slices.Sorted(maps.Keys(left)))
}

// rightsUsed are the rights that the API server has granted to requests of the account of deploy/base, or of the
// account that has the same rights for TestEveryRuleIsNeeded: each without a name, and with the object's name.
func rightsUsed(log io.Reader) (map[right]bool, error) {
	used := map[right]bool{}
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // the last line may not be complete yet
			return used, nil
		}
		var a audited
		if err := errors.Join(err, json.Unmarshal(line, &a)); err != nil {
			return nil, err
		}
		as := a.User.Username
		if a.ImpersonatedUser.Username != "" {
			as = a.ImpersonatedUser.Username
		}
		if as != "system:serviceaccount:"+own+":stsbackup" &&
			(!strings.HasPrefix(as, "system:serviceaccount:e2e-rules-") || !strings.HasSuffix(as, ":whole")) {
			continue
		}
		if a.ResponseStatus.Code == http.StatusForbidden {
			continue
		}
		resource := strings.TrimSuffix(a.ObjectRef.Resource+"/"+a.ObjectRef.Subresource, "/")
		if a.Verb == "create" && resource == "pods" && !strings.Contains(a.RequestURI, "dryRun=All") {
			resource = createdPods
		}
		for _, name := range []string{"", a.ObjectRef.Name} {
			used[rightOf(a.Verb, a.ObjectRef.APIGroup, resource, name)] = true
		}
	}
}

// TestRightsUsed shows that the functions above can fail.
func TestRightsUsed(t *testing.T) {
	const log = `{"user":{"username":"system:serviceaccount:stsbackup:stsbackup"},"verb":"get",` +
		`"objectRef":{"resource":"pods","namespace":"demo","name":"web-0","subresource":"log"},"responseStatus":{"code":200}}
{"user":{"username":"admin"},"impersonatedUser":{"username":"system:serviceaccount:e2e-rules-1:whole"},` +
		`"verb":"watch","objectRef":{"resource":"statefulsets","apiGroup":"apps"},"responseStatus":{"code":200}}
{"user":{"username":"system:serviceaccount:stsbackup:stsbackup"},"verb":"get",` +
		`"objectRef":{"resource":"namespaces","name":"demo"},"responseStatus":{"code":403}}
{"user":{"username":"admin"},"verb":"delete","objectRef":{"resource":"secrets"},"responseStatus":{"code":200}}
{"user":{"username":"system:serviceaccount:stsbackup:stsbackup"},"verb":"create","requestURI":"/api/v1/namespaces/demo/pods?dryRun=All",` +
		`"objectRef":{"resource":"pods","namespace":"demo"},"responseStatus":{"code":201}}
{"user":{"username":"system:ser`
	used, err := rightsUsed(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	granted := map[right]bool{"get pods/log": true, "watch statefulsets.apps": true, "create pods": true}
	if err := errors.Join(unused(granted, used), undue(used)); err != nil {
		t.Error(err)
	}
	delete(granted, "create pods")
	granted["get namespaces"], granted["delete secrets"] = true, true
	if err := unused(granted, used); err == nil ||
		!strings.HasSuffix(err.Error(), `of 4 that deploy/base grants: ["delete secrets" "get namespaces"]`) {
		t.Errorf("%v", err)
	}
	made, err := rightsUsed(
		strings.NewReader(
			`{"user":{"username":"system:serviceaccount:stsbackup:stsbackup"},"verb":"create",` +
				`"requestURI":"/api/v1/namespaces/demo/pods?fieldManager=x",` +
				`"objectRef":{"resource":"pods","namespace":"demo","name":"mine"},"responseStatus":{"code":201}}
`,
		),
	)
	if err != nil {
		t.Fatal(err)
	}
	if undue(made) == nil || made["create pods"] {
		t.Error("a pod may be created, and counts as a dry run")
	}
}
