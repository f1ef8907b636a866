package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// operatorNamespace and operatorAccount name the ServiceAccount that the manifests in deploy/base make.
const (
	operatorNamespace = "stsbackup"
	operatorAccount   = "stsbackup"
)

// OperatorKubeconfig installs the manifests in folder deploy and writes a kubeconfig, in folder dir, with which
// stsbackup has the rights of the manifests' ServiceAccount and no others. It returns the file's path.
func (e Env) OperatorKubeconfig(ctx context.Context, dir, deploy string) (string, error) {
	if _, err := e.KubectlInput(ctx, "", "apply", "--kustomize", deploy); err != nil {
		return "", fmt.Errorf("install %s: %w", deploy, err)
	}
	token, err := e.KubectlInput(ctx, "", "--namespace", operatorNamespace, "create", "token", operatorAccount, "--duration=4h")
	if err != nil {
		return "", fmt.Errorf("get a token: %w", err)
	}
	view, err := e.KubectlInput(ctx, "", "config", "view", "--raw", "--minify", "--flatten", "--output", "json")
	if err != nil {
		return "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	var config map[string]any
	if err := json.Unmarshal([]byte(view), &config); err != nil {
		return "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	users, ok := config["users"].([]any)
	if !ok || len(users) != 1 {
		return "", fmt.Errorf("read the kubeconfig: expected one user in the current context")
	}
	user, ok := users[0].(map[string]any)
	if !ok {
		return "", fmt.Errorf("read the kubeconfig: its user is no object")
	}
	user["user"] = map[string]string{"token": strings.TrimSpace(token)}
	data, err := json.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("write the kubeconfig: %w", err)
	}
	path := filepath.Join(dir, "operator.kubeconfig")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", fmt.Errorf("write the kubeconfig: %w", err)
	}
	return path, nil
}
