//go:build e2e

package e2e

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// audience is the audience of the documentation's tokens.
const audience = "sts.amazonaws.com"

// TestWebIdentityWithoutKeys backs up to a MinIO that trusts the tokens of the cluster's ServiceAccounts. It has no
// keys except those that MinIO gives for the token of the CronJob's pod, and then of the scheduler's.
func TestWebIdentityWithoutKeys(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "federated")
	s.apply(workload{name: "web", replicas: 2}.manifest(), "web")
	bucket := s.newMinIO()
	ctx, stop := context.WithCancel(s.ctx)
	defer stop()
	endpoint, err := bucket.forward(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.cronJobsWithoutKeys(bucket, endpoint)
	s.schedulerWithoutKeys(bucket, endpoint)
}

// identity adds a block of the documentation to a kustomization, and makes MinIO the service that gives keys.
func (b ownBucket) identity(block string) (replacements []string) {
	b.t.Helper()
	own := strings.NewReplacer("arn:aws:iam::ACCOUNT:role/ROLE", minioRole(), "https://STS-ENDPOINT", b.endpoint)
	text := own.Replace(installBlock(b.t, block))
	return []string{" --from-file=credentials", "", lastInKustomization, lastInKustomization + text}
}

// cronJobsWithoutKeys lets the CronJobs back up and prune.
func (s *scenario) cronJobsWithoutKeys(bucket ownBucket, endpoint string) {
	s.t.Helper()
	byLabel.Lock()
	defer byLabel.Unlock()
	s.enabled("web")
	s.t.Cleanup(func() { s.removeClusterRights("stsbackup-namespaced-" + s.Namespace) })
	replacements := append(bucket.identity("web-identity-for-cronjobs"),
		"namespace: NAMESPACE\n", "namespace: "+s.Namespace+"\nnameSuffix: -"+s.Namespace+"\n",
		"cronjob/stsbackup ", "cronjob/stsbackup-"+s.Namespace+" ")
	in := s.install("namespaced", bucket.repo(), replacements...)
	s.jobSucceeded(s.Namespace, "first-backup")
	environ := in.environ(endpoint, bucket.endpoint)
	s.runWith(environ, 0, []string{"complete", "2/2"}, "list", s.Namespace+"/web")
	s.runWith(append(environ, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="), 1, []string{"credentials"}, "list", s.Namespace+"/web")
	s.kubectl("create", "job", "--from=cronjob/stsbackup-prune-"+s.Namespace, "first-prune")
	s.jobSucceeded(s.Namespace, "first-prune")
	s.nothingBehind()
	s.kubectl("label", "statefulset", "web", "stsbackup.io/backup-")
}

// schedulerWithoutKeys lets a scheduler back up, which is installed in a namespace of its own, beside that of other
// tests.
func (s *scenario) schedulerWithoutKeys(bucket ownBucket, endpoint string) {
	s.t.Helper()
	namespace := s.namespace("scheduler")
	s.t.Cleanup(func() { s.removeClusterRights("stsbackup-" + s.Namespace) })
	in := s.install("scheduler", strings.Replace(bucket.repo(), "/root", "/scheduler", 1), slices.Concat(
		bucket.identity("web-identity"), everyMinute(s.Namespace), []string{
			"overlays/scheduler]\n", "overlays/scheduler]\nnamespace: " + namespace + "\nnameSuffix: -" + s.Namespace + "\n",
			"kubectl -n stsbackup ", "kubectl -n " + namespace + " ", "deployment/stsbackup ", "deployment/stsbackup-" + s.Namespace + " ",
		})...)
	environ := in.environ(endpoint, bucket.endpoint)
	s.until("the scheduler has backed up", func() (bool, string) {
		result, err := s.Run(s.ctx, environ, "list", s.Namespace+"/web")
		return err == nil && strings.Contains(result.Stdout, "complete") && strings.Contains(result.Stdout, "2/2"), result.String()
	})
	for _, command := range in.commands("remove-scheduler")[:2] {
		in.shell(command)
	}
	s.nothingBehind()
}

// minioRole is MinIO's name for the role of the holders of tokens for an audience.
func minioRole() string {
	sum := sha1.Sum([]byte(audience))
	return "arn:minio:iam:::role/" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// installBlock is the block of docs/install.md with this name.
func installBlock(t *testing.T, name string) string {
	t.Helper()
	for _, b := range installBlocks(t) {
		if b.file == name {
			return b.text
		}
	}
	t.Fatalf("docs/install.md has no block %s", name)
	return ""
}

// newMinIO is newBucket with a MinIO that trusts this cluster's ServiceAccounts. It runs the binary of this machine, which
// is the node.
func (s *scenario) newMinIO() ownBucket {
	s.t.Helper()
	s.publishIssuer()
	return s.serveMinIO("https://kubernetes.default.svc")
}

// serveMinIO is newBucket with a MinIO that trusts the tokens of an issuer.
func (s *scenario) serveMinIO(issuer string) ownBucket {
	s.t.Helper()
	return s.serve(fmt.Sprintf(`
      containers:
      - name: s3
        image: "busybox:1.35"
        command: [/programs/minio, server, /data, --address, ":7070", --certs-dir, /certificates]
        env:
        - {name: MINIO_ROOT_USER, valueFrom: {secretKeyRef: {name: s3, key: access}}}
        - {name: MINIO_ROOT_PASSWORD, valueFrom: {secretKeyRef: {name: s3, key: secret}}}
        - {name: MINIO_IDENTITY_OPENID_CONFIG_URL, value: "%s/.well-known/openid-configuration"}
        - {name: MINIO_IDENTITY_OPENID_CLIENT_ID, value: %s}
        - {name: MINIO_IDENTITY_OPENID_ROLE_POLICY, value: readwrite}
        readinessProbe:
          exec: {command: [sh, -c, "wget -q -O /dev/null http://127.0.0.1:7070/minio/health/ready && mkdir -p /data/show"]}
          periodSeconds: 1
          timeoutSeconds: 20
        volumeMounts:
        - {name: data, mountPath: /data}
        - {name: programs, mountPath: /programs, readOnly: true}
        - {name: authority, mountPath: /certificates/CAs, readOnly: true}
      volumes:
      - {name: data, emptyDir: {}}
      - {name: programs, hostPath: {path: %q, type: Directory}}
      - {name: authority, configMap: {name: kube-root-ca.crt}}
`, issuer, audience, os.Getenv("STSBACKUP_TEST_BIN")))
}

// publishIssuer lets everybody read the keys with which the tokens of this cluster's ServiceAccounts are signed.
func (s *scenario) publishIssuer() {
	s.t.Helper()
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := s.KubectlInput(ctx, "", "delete", "clusterrolebinding", s.Namespace); err != nil {
			s.t.Error(err)
		}
	})
	_, err := s.KubectlInput(
		s.ctx,
		"",
		"create",
		"clusterrolebinding",
		s.Namespace,
		"--clusterrole=system:service-account-issuer-discovery",
		"--group=system:unauthenticated",
	)
	if err != nil {
		s.t.Fatal(err)
	}
}
