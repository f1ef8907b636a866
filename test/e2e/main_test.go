//go:build e2e

// Package e2e holds the end-to-end tests: stsbackup as a program, against a real cluster and a real bucket.
package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/test/harness"
)

// environment is what all scenarios share: TestMain sets it before the first of them.
var environment harness.Env

func TestMain(m *testing.M) {
	heedHangups()
	os.Exit(runAll(m))
}

// heedHangups has programs that the tests start end with their terminal, also where the tests themselves were told to outlive
// theirs (nohup): they would inherit that.
func heedHangups() {
	if signal.Ignored(syscall.SIGHUP) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
}

// runAll installs the ServiceAccount that stsbackup runs as, once, and then runs the tests.
func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stsbackup-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := prepare(dir); err != nil {
		fmt.Fprintf(os.Stderr, "the end-to-end tests cannot run:\n%v\n", err)
		return 1
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	remove, err := makeCustomKinds(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "the end-to-end tests cannot run:\n%v\n", err)
		return 1
	}
	defer func() {
		if err := remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	watched, err := watchForSecrets(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "the end-to-end tests cannot run:\n%v\n", err)
		return 1
	}
	code := m.Run()
	stop()
	err = watched()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" { // all tests have run
		err = errors.Join(err, everyRightUsed(os.Getenv("STSBACKUP_TEST_LOGS")))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "FAIL: %v\n", err)
		return 1
	}
	return code
}

func prepare(dir string) error {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	if environment, err = harness.FromEnvironment(os.Getenv, root); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := notInstalled(ctx); err != nil {
		return err
	}
	environment.Operator, err = environment.OperatorKubeconfig(ctx, dir, deployed("base"))
	return err
}

// notInstalled fails if somebody uses stsbackup in the cluster, where some tests install it, and at their end delete all of it.
func notInstalled(ctx context.Context) error {
	found, err := environment.KubectlInput(ctx, "", "--namespace", own, "get", "deployment/stsbackup", "cronjob/stsbackup", "secret/stsbackup",
		"--ignore-not-found", "--output=name")
	if err != nil {
		return err
	}
	if objects := strings.Fields(found); len(objects) > 0 {
		return fmt.Errorf(
			"namespace %[1]s has %[2]s, which tests would delete: take another cluster, or if an earlier run has left this behind: kubectl -n "+
				"%[1]s delete %[2]s",
			own,
			strings.Join(objects, " "),
		)
	}
	return nil
}

// deployed is a path in the folder of the manifests.
func deployed(elem ...string) string {
	return filepath.Join(append([]string{"..", "..", "deploy"}, elem...)...)
}

// scenario is a tenant whose steps end the test when they fail, so that a test reads straight down.
type scenario struct {
	*harness.Tenant
	t   *testing.T
	ctx context.Context
}

// newScenario gives a test its own namespace, repository root and password; all of it is removed at the end.
func newScenario(t *testing.T, name string) *scenario {
	t.Helper()
	return newScenarioWithin(t, name, 10*time.Minute)
}

// newScenarioWithin is newScenario for a test that takes long.
func newScenarioWithin(t *testing.T, name string, limit time.Duration) *scenario {
	t.Helper()
	suffix := make([]byte, 3)
	if _, err := rand.Read(suffix); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	tenant, err := harness.NewTenant(ctx, environment, "e2e-"+name+"-"+hex.EncodeToString(suffix), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
		defer cancel()
		if err := tenant.Remove(ctx); err != nil {
			t.Errorf("remove namespace %s: %v", tenant.Namespace, err)
		}
	})
	return &scenario{Tenant: tenant, t: t, ctx: ctx}
}

// apply creates objects and waits until the named StatefulSets are Ready.
func (s *scenario) apply(manifests string, statefulSets ...string) {
	s.t.Helper()
	if err := s.Apply(s.ctx, manifests); err != nil {
		s.t.Fatal(err)
	}
	for _, name := range statefulSets {
		s.waitReady(name)
	}
}

func (s *scenario) waitReady(statefulSet string) {
	s.t.Helper()
	if err := s.WaitReady(s.ctx, statefulSet); err != nil {
		s.t.Fatal(err)
	}
}

// created waits until an object is there, which is given as TYPE/NAME. It takes one:
// kubectl gives up at once if several of those that it is to wait for are not there.
func (s *scenario) created(object string) {
	s.t.Helper()
	s.kubectl("wait", "--for=create", object, "--timeout=180s")
}

// kubectl runs kubectl in the scenario's namespace and gives its output without the last line end.
func (s *scenario) kubectl(args ...string) string {
	s.t.Helper()
	out, err := s.Kubectl(s.ctx, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimRight(out, "\n")
}

// exec runs a shell command in a pod.
func (s *scenario) exec(pod, script string) string {
	s.t.Helper()
	out, err := s.Exec(s.ctx, pod, script)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// run runs stsbackup and demands an exit code and texts that must be in what it printed, on either stream.
func (s *scenario) run(wantCode int, wantTexts []string, args ...string) harness.Result {
	s.t.Helper()
	return s.runWith(nil, wantCode, wantTexts, args...)
}

// runWith is run with environment variables that win over the scenario's.
func (s *scenario) runWith(environ []string, wantCode int, wantTexts []string, args ...string) harness.Result {
	s.t.Helper()
	result, err := s.Run(s.ctx, environ, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	if result.Code != wantCode {
		s.t.Fatalf("exit code %d, want %d:\n%s", result.Code, wantCode, result)
	}
	for _, text := range wantTexts {
		if !strings.Contains(result.Stdout+result.Stderr, text) {
			s.t.Fatalf("%q is not in the output:\n%s", text, result)
		}
	}
	return result
}

// nothingLeft demands that stsbackup has left nothing in the namespace.
func (s *scenario) nothingLeft() {
	s.t.Helper()
	left, err := s.Leftovers(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(left) > 0 {
		s.t.Fatalf("left in namespace %s: %s", s.Namespace, strings.Join(left, " "))
	}
}
