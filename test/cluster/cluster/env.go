package cluster

import (
	"fmt"
	"os"
	"strings"

	"github.com/stsbackup/stsbackup/test/cluster/images"
)

// variable is one line of the env file.
type variable struct{ name, value string }

// environment is what tests learn about the cluster, KUBECONFIG first.
func (h Harness) environment() ([]variable, error) {
	status, _, err := h.state()
	if err != nil {
		return nil, err
	}
	return []variable{
		{"KUBECONFIG", h.Spec.Kubeconfig()},
		{"STSBACKUP_TEST_S3_ENDPOINT", "http://" + status.S3},
		{"STSBACKUP_TEST_S3_POD_ENDPOINT", h.Spec.PodEndpoint()},
		{"AWS_ACCESS_KEY_ID", h.Spec.S3.AccessKey},
		{"AWS_SECRET_ACCESS_KEY", h.Spec.S3.SecretKey},
		{"STSBACKUP_TEST_BUCKET", h.Spec.S3.Bucket},
		{"STSBACKUP_IMAGE", images.ProductImage},
		{"STSBACKUP_TEST_BIN", h.Spec.Bin()},
		// Static hostPath volumes belong below this folder: it is the same one on the host and for the kubelet, and
		// goes with the cluster.
		{"STSBACKUP_TEST_HOSTPATH", h.Spec.HostPath()},
		// The logs of the components: tests look for secrets in them.
		{"STSBACKUP_TEST_LOGS", h.Spec.Logs()},
	}, nil
}

// renderEnv writes variables as lines that a shell can source.
func renderEnv(variables []variable) string {
	var text strings.Builder
	for _, v := range variables {
		fmt.Fprintf(&text, "export %s=%s\n", v.name, quote(v.value))
	}
	return text.String()
}

// quote protects a value from the shell if necessary.
func quote(value string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:@", r)
	}
	if value != "" && strings.TrimFunc(value, plain) == "" {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

func (h Harness) writeEnv() error {
	variables, err := h.environment()
	if err != nil {
		return err
	}
	return os.WriteFile(h.Spec.Env(), []byte(renderEnv(variables)), 0o600)
}

func (h Harness) printEnv() error {
	text, err := os.ReadFile(h.Spec.Env())
	if err != nil {
		return err
	}
	h.say("\n%s\n(these lines are in %s)", text, h.Spec.Env())
	return nil
}
