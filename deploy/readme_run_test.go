package deploy

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// stub replaces a program that a reader of README.md has. It writes down how it was called, and in which directory, and
// fails if a file is missing that the real program needs.
const stub = `#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$(basename "$0") $*" in
"make build") mkdir -p bin && cp "$0" bin/stsbackup ;;
stsbackup*)
  [ -n "$(cat "$STSBACKUP_PASSWORD_FILE")" ] && [ -s "$AWS_SHARED_CREDENTIALS_FILE" ] || exit 1
  [ -n "$STSBACKUP_REPO" ] && [ -n "$STSBACKUP_IMAGE" ] || exit 1
  cat "$STSBACKUP_PASSWORD_FILE" >> "$PASSWORDS" ;;
"kubectl apply -k "*)
  [ -s "$3/kustomization.yaml" ] && cp "$3/kustomization.yaml" "$CALLS.$(echo "$3" | tr / _).$(wc -l < "$CALLS")" || exit 1 ;;
kubectl*"create secret"*) [ -s password ] && [ -s credentials ] || exit 1
  cat password >> "$PASSWORDS" ;;
"kubectl apply --server-side -f -") cat > /dev/null ;;
esac
`

// TestReadmeRuns types every block of README.md in its order, in one shell, in a clone. Each block works as it stands,
// in the directory where the previous one has left the reader, and all blocks use the same password.
func TestReadmeRuns(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	script := ""
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		script += block[1]
	}
	if strings.Count(script, "\n") < 40 {
		t.Fatalf("README.md has no more commands than\n%s", script)
	}
	clone, programs := t.TempDir(), t.TempDir()
	if err := os.CopyFS(filepath.Join(clone, "deploy"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"make", "docker", "kubectl"} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte(stub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	calls, passwords := filepath.Join(t.TempDir(), "calls"), filepath.Join(t.TempDir(), "passwords")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-e", "-c", script)
	cmd.Dir = clone
	cmd.Env = []string{"PATH=" + programs + ":" + os.Getenv("PATH"), "CALLS=" + calls, "PASSWORDS=" + passwords, "HOME=" + t.TempDir()}
	if out, err := cmd.CombinedOutput(); err != nil {
		called, _ := os.ReadFile(calls)
		t.Fatalf("README.md does not run: %v\n%s\nafter\n%s", err, out, called)
	}
	used, err := os.ReadFile(passwords)
	lines := strings.Split(strings.TrimSpace(string(used)), "\n")
	if err != nil || len(lines) < 7 || len(slices.Compact(lines)) != 1 {
		t.Errorf("%d passwords are used, and should be one: %q (%v)", len(slices.Compact(lines)), lines, err)
	}
	applied(t, clone, calls)
	// This test runs no block of another kind. There is one: what CI runs.
	others := 0
	for i, fence := range regexp.MustCompile("(?m)^```.*$").FindAllString(string(text), -1) {
		if i%2 == 0 && fence != "```sh" {
			others++
		}
	}
	if others != 1 || !strings.Contains(string(text), "\n```\nmake demo ") {
		t.Errorf("README.md has %d blocks that are not ```sh, and should have one, which begins with make demo", others)
	}
}

// applied checks that what the reader applied from the folder names only things that exist.
func applied(t *testing.T, clone, calls string) {
	t.Helper()
	copies, err := filepath.Glob(calls + "..*")
	if err != nil || len(copies) < 4 {
		t.Fatalf("%q were applied (%v)", copies, err)
	}
	overlays := 0
	for _, path := range copies {
		data, err := os.ReadFile(path)
		var kustomization struct{ Resources []string }
		if err == nil {
			err = yaml.Unmarshal(data, &kustomization)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range kustomization.Resources {
			if !strings.HasPrefix(resource, "../") {
				continue // is in deploy/base itself
			}
			overlays++
			if _, err := os.Stat(filepath.Join(clone, "mine", resource)); err != nil {
				t.Errorf("%s is not there: %v", resource, err)
			}
		}
	}
	if overlays != 2 {
		t.Errorf("%d overlays were applied", overlays)
	}
}
