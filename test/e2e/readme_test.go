//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/test/harness"
)

// TestReadmeQuickStart types what README.md has a newcomer type, word for word but for what is written in capitals and the
// StatefulSet's name: data is saved, and comes back. What README.md has for schedules, the tests of docs/install.md run.
func TestReadmeQuickStart(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "readme")
	s.apply(workload{name: "web", replicas: 2}.manifest(), "web")
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "## Install\n")
	start, _, _ := strings.Cut(rest, "## Back up on a schedule\n")
	script := ""
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(start, -1) {
		script += block[1]
	}
	if strings.Count(script, "stsbackup ") < 5 {
		t.Fatalf("README.md has no more commands than\n%s", script)
	}
	// There is no registry, and the program is built.
	for _, line := range []string{"make build ", "docker build "} {
		script = regexp.MustCompile("(?m)^"+line+".*\n").ReplaceAllString(script, "")
	}
	const url = "s3://BUCKET/PREFIX?endpoint=https://S3-ENDPOINT&region=REGION"
	movers := s.repoOf("readme")
	script = strings.Replace(script, url, strings.Replace(movers, s.PodEndpoint, s.Endpoint, 1), 1)
	script = strings.NewReplacer(
		url, movers, "REGISTRY/stsbackup:v0", s.Image, "ACCESS-KEY", s.AccessKey, "SECRET-KEY", s.SecretKey, "demo/web", s.Namespace+"/web",
	).Replace(script)
	clone := t.TempDir()
	if err := os.Mkdir(filepath.Join(clone, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(s.Stsbackup, filepath.Join(clone, "bin", "stsbackup")); err != nil {
		t.Fatal(err)
	}
	// As a file: in arguments, everybody on the machine could read the keys.
	s.writeFile(clone, "typed", "cd '"+clone+"'\n"+script)
	result, err := harness.Run(s.ctx, "", []string{"KUBECONFIG=" + s.Kubeconfig, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="},
		"sh", "-e", filepath.Join(clone, "typed"))
	if err != nil || result.Code != 0 {
		t.Fatalf("README.md does not work: %v\n%s", err, result)
	}
	for _, want := range []string{"complete", "from 2 to 0 replicas"} {
		if !strings.Contains(result.Stdout+result.Stderr, want) {
			t.Errorf("%q is not in what is printed:\n%s", want, result)
		}
	}
	s.waitReady("web")
}
