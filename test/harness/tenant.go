package harness

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Tenant is a namespace with a repository root and a password of its own: the place of one scenario.
type Tenant struct {
	Env
	Namespace string
	// Prefix is the repository root's prefix in the bucket.
	Prefix string
	// Dir holds the password file, and is the working directory of the programs.
	Dir          string
	PasswordFile string
	password     string
}

// NewTenant makes the namespace and the password file. Dir must be a folder that the caller removes.
func NewTenant(ctx context.Context, env Env, namespace, dir string) (*Tenant, error) {
	t := &Tenant{Env: env, Namespace: namespace, Prefix: "root/" + namespace, Dir: dir,
		PasswordFile: filepath.Join(dir, "password"), password: "the password of " + namespace}
	if env.New != nil {
		env.New(t)
	}
	if err := os.WriteFile(t.PasswordFile, []byte(t.password+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write the password file: %w", err)
	}
	if _, err := t.KubectlInput(ctx, "", "create", "namespace", namespace); err != nil {
		return nil, fmt.Errorf("create namespace: %w", err)
	}
	return t, nil
}

// Repo is the repository root's URL with the given S3 endpoint.
func (t *Tenant) Repo(endpoint string) string {
	return fmt.Sprintf("s3://%s/%s?endpoint=%s&region=us-east-1", t.Bucket, t.Prefix, endpoint)
}

// Environ is the environment in which stsbackup finds cluster, repository, password and credentials.
func (t *Tenant) Environ() []string {
	return []string{
		"KUBECONFIG=" + t.Operator,
		"STSBACKUP_REPO=" + t.Repo(t.Endpoint),
		"STSBACKUP_MOVER_REPO=" + t.Repo(t.PodEndpoint),
		"STSBACKUP_PASSWORD_FILE=" + t.PasswordFile,
		"STSBACKUP_IMAGE=" + t.Image,
		"AWS_ACCESS_KEY_ID=" + t.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + t.SecretKey,
	}
}

// Run runs stsbackup to its end. Variables in environ win over the tenant's.
func (t *Tenant) Run(ctx context.Context, environ []string, args ...string) (Result, error) {
	result, err := Run(ctx, "", append(t.Environ(), environ...), t.Stsbackup, args...)
	if t.Seen != nil {
		t.Seen(result)
	}
	return result, err
}

// Password is the root password.
func (t *Tenant) Password() string { return t.password }

// RepositoryPassword derives the password of a StatefulSet's repository, as docs/format.md says.
func RepositoryPassword(root, namespace, statefulSet string) string {
	mac := hmac.New(sha256.New, []byte(root))
	fmt.Fprintf(mac, "stsbackup/%s/%s", namespace, statefulSet)
	return hex.EncodeToString(mac.Sum(nil))
}

// Command is stsbackup, not started yet, for callers that want to stop it.
func (t *Tenant) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, t.Stsbackup, args...)
	cmd.Env = append(os.Environ(), t.Environ()...)
	return cmd
}

// Kubectl runs kubectl in the tenant's namespace.
func (t *Tenant) Kubectl(ctx context.Context, args ...string) (string, error) {
	return t.KubectlInput(ctx, "", append([]string{"--namespace", t.Namespace}, args...)...)
}

// Apply hands manifests to kubectl apply.
func (t *Tenant) Apply(ctx context.Context, manifests string) error {
	_, err := t.KubectlInput(ctx, manifests, "--namespace", t.Namespace, "apply", "-f", "-")
	return err
}

// WaitReady waits until every replica of the StatefulSet is Ready.
func (t *Tenant) WaitReady(ctx context.Context, statefulSet string) error {
	_, err := t.Kubectl(ctx, "rollout", "status", "statefulset/"+statefulSet, "--timeout=180s")
	return err
}

// Exec runs a shell command in a pod's first container and returns its output without the last line end.
func (t *Tenant) Exec(ctx context.Context, pod, script string) (string, error) {
	out, err := t.Kubectl(ctx, "exec", pod, "--", "sh", "-c", script)
	return strings.TrimRight(out, "\n"), err
}

// StockRestic runs Debian's restic on one StatefulSet's repository. It derives the password as docs/format.md says, and
// uses none of stsbackup's code.
func (t *Tenant) StockRestic(ctx context.Context, statefulSet string, args ...string) (Result, error) {
	environ := []string{
		"RESTIC_PASSWORD=" + RepositoryPassword(t.password, t.Namespace, statefulSet),
		"AWS_ACCESS_KEY_ID=" + t.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + t.SecretKey,
		"RESTIC_CACHE_DIR=" + filepath.Join(t.Dir, "restic-cache"),
	}
	location := fmt.Sprintf("s3:%s/%s/%s/%s/%s", t.Endpoint, t.Bucket, t.Prefix, t.Namespace, statefulSet)
	return Run(ctx, "", environ, t.Restic, append([]string{"--repo", location}, args...)...)
}

// managed lists the kinds of everything that stsbackup can leave in a cluster.
const managed = "pods,jobs,secrets,configmaps,serviceaccounts,persistentvolumeclaims," +
	"volumesnapshots.snapshot.storage.k8s.io,leases.coordination.k8s.io"

// Leftovers names what stsbackup has left in the namespace.
func (t *Tenant) Leftovers(ctx context.Context) ([]string, error) {
	out, err := t.Kubectl(ctx, "get", managed, "--selector", "app.kubernetes.io/managed-by=stsbackup", "--output", "name")
	return strings.Fields(out), err
}

// Displaced names the persistent volumes that restores of this namespace's claims have set aside.
func (t *Tenant) Displaced(ctx context.Context) ([]string, error) {
	out, err := t.KubectlInput(ctx, "", "get", "persistentvolumes", "--selector", "app.kubernetes.io/managed-by=stsbackup",
		"--output", `jsonpath={range .items[*]}{.spec.claimRef.namespace}{" "}{.metadata.name}{"\n"}{end}`)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(out) {
		if namespace, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && namespace == t.Namespace {
			names = append(names, name)
		}
	}
	return names, nil
}

// Remove deletes the namespace with everything in it, and the persistent volumes that a restore kept for it.
func (t *Tenant) Remove(ctx context.Context) error {
	volumes, err := t.KubectlInput(ctx, "", "get", "persistentvolumes", "--output",
		`jsonpath={range .items[*]}{.spec.claimRef.namespace}{" "}{.metadata.name}{"\n"}{end}`)
	if err != nil {
		return fmt.Errorf("list volumes: %w", err)
	}
	if _, err := t.KubectlInput(ctx, "", "delete", "namespace", t.Namespace, "--timeout=180s"); err != nil {
		return fmt.Errorf("delete namespace: %w", err)
	}
	for line := range strings.Lines(volumes) {
		namespace, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || namespace != t.Namespace {
			continue
		}
		// With the policy Delete the volume's storage goes too, even if a restore has set the policy to Retain.
		patch := `{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}`
		if _, err := t.KubectlInput(ctx, "", "patch", "persistentvolume", name, "--patch", patch); err != nil &&
			!strings.Contains(err.Error(), "NotFound") {
			return fmt.Errorf("free volume: %w", err)
		}
		if _, err := t.KubectlInput(ctx, "", "delete", "persistentvolume", name, "--ignore-not-found", "--timeout=60s"); err != nil {
			return fmt.Errorf("delete volume: %w", err)
		}
	}
	return nil
}
