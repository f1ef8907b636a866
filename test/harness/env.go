package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Env says where the programs, the cluster and the bucket are.
type Env struct {
	// Kubeconfig is an administrator's, for kubectl; Operator is the one that stsbackup itself runs with.
	Kubeconfig, Operator string
	// Endpoint is the S3 server's address for this machine, PodEndpoint its address for pods.
	Endpoint, PodEndpoint string
	Bucket                string
	AccessKey, SecretKey  string
	// Image is what movers run.
	Image string
	// Stsbackup, Kubectl and Restic are the programs' paths.
	Stsbackup, Kubectl, Restic string
	// Seen, if set, gets every run of stsbackup; New, if set, gets every tenant before anything else knows of it.
	Seen func(Result)
	New  func(*Tenant)
}

// FromEnvironment reads the variables; the error names every missing one. root is the repository's root, below which
// `make build` has put the binary.
func FromEnvironment(getenv func(string) string, root string) (Env, error) {
	var missing []string
	get := func(key string) string {
		value := getenv(key)
		if value == "" {
			missing = append(missing, key)
		}
		return value
	}
	env := Env{
		Kubeconfig:  get("KUBECONFIG"),
		Endpoint:    get("STSBACKUP_TEST_S3_ENDPOINT"),
		PodEndpoint: get("STSBACKUP_TEST_S3_POD_ENDPOINT"),
		Bucket:      get("STSBACKUP_TEST_BUCKET"),
		AccessKey:   get("AWS_ACCESS_KEY_ID"),
		SecretKey:   get("AWS_SECRET_ACCESS_KEY"),
		Image:       get("STSBACKUP_IMAGE"),
		Stsbackup:   filepath.Join(root, "bin", "stsbackup"),
	}
	var errs []error
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("not set: %s (`make cluster-up` writes them to .cluster/env)", strings.Join(missing, ", ")))
	}
	if _, err := os.Stat(env.Stsbackup); err != nil {
		errs = append(errs, fmt.Errorf("no stsbackup binary (`make build` makes it): %w", err))
	}
	var err error
	if env.Kubectl, err = findProgram("kubectl", getenv("STSBACKUP_TEST_BIN")); err != nil {
		errs = append(errs, err)
	}
	if env.Restic, err = findProgram("restic", ""); err != nil {
		errs = append(errs, err)
	}
	return env, errors.Join(errs...)
}

// findProgram prefers the test cluster's own build of a program to the machine's.
func findProgram(name, dir string) (string, error) {
	if dir != "" {
		if path := filepath.Join(dir, name); isExecutable(path) {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find %s (`make deps` installs what is missing): %w", name, err)
	}
	return path, nil
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Result is the outcome of one run of a program.
type Result struct {
	Args           []string
	Code           int
	Stdout, Stderr string
}

// String shows the whole run, for messages.
func (r Result) String() string {
	return fmt.Sprintf("$ %s\n%s%sexit code %d", strings.Join(r.Args, " "), r.Stdout, r.Stderr, r.Code)
}

// Run runs a program to its end and returns the outcome. It returns an error only if the program could not run at all,
// or the context ended it; an exit code other than 0 is no error here.
func Run(ctx context.Context, stdin string, environ []string, program string, args ...string) (Result, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	result := Result{
		Args: append([]string{filepath.Base(program)}, args...), Code: cmd.ProcessState.ExitCode(),
		Stdout: stdout.String(), Stderr: stderr.String(),
	}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		return result, fmt.Errorf("run %s: %w\n%s", filepath.Base(program), errors.Join(err, context.Cause(ctx)), result)
	}
	return result, nil
}

// KubectlInput runs kubectl with text on its standard input and returns what it printed; an exit code other than 0 is
// an error.
func (e Env) KubectlInput(ctx context.Context, stdin string, args ...string) (string, error) {
	result, err := Run(ctx, stdin, []string{"KUBECONFIG=" + e.Kubeconfig}, e.Kubectl, args...)
	if err != nil {
		return "", err
	}
	if result.Code != 0 {
		return "", fmt.Errorf("%s", result)
	}
	return result.Stdout, nil
}
