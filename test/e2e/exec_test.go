//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// TestExec runs commands in a pod through the API server: one copies its standard input to its standard output, and
// ends when the input does; the other fails.
func TestExec(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "exec")
	s.apply(workload{name: "web", replicas: 1}.manifest(), "web")
	client, _, err := cluster.Connect(environment.Kubeconfig, "")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("what a database says\n", 100_000)
	var stdout, stderr bytes.Buffer
	err = client.Exec(s.ctx, cluster.ExecRequest{
		Namespace: s.Namespace, Pod: "web-0", Command: []string{"sh", "-c", "cat; echo done >&2"},
		Stdin: strings.NewReader(text), Stdout: &stdout, Stderr: &stderr,
	})
	if err != nil || stdout.String() != text || stderr.String() != "done\n" {
		t.Errorf("%v, %d of %d bytes came back, and it says %q", err, stdout.Len(), len(text), &stderr)
	}
	var exit *cluster.ExitError
	err = client.Exec(s.ctx, cluster.ExecRequest{
		Namespace: s.Namespace, Pod: "web-0", Command: []string{"sh", "-c", "exit 7"}, Stdout: &stdout,
	})
	if !errors.As(err, &exit) || exit.Code != 7 {
		t.Errorf("error %v, want exit code 7", err)
	}
}
