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

// TestReadme types every block of README.md in its order, in one shell, word for word except for what is written in
// capitals and the StatefulSet's name: data is saved and comes back, and the scheduler and the CronJob go on in the
// same repository, with the same password. It has the namespace stsbackup for itself, so it runs beside no other test.
func TestReadme(t *testing.T) {
	s := newScenario(t, "readme")
	s.apply(workload{name: "web", replicas: 2}.manifest(), "web")
	t.Cleanup(s.uninstall)
	in := installation{scenario: s, dir: s.clone()}
	clone := filepath.Dir(in.dir)
	if err := os.Mkdir(filepath.Join(clone, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(s.Stsbackup, filepath.Join(clone, "bin", "stsbackup")); err != nil {
		t.Fatal(err)
	}
	// In a file: everybody on the machine could read keys in arguments.
	s.writeFile(clone, "typed", "cd '"+clone+"'\n"+s.readmeScript())
	path := filepath.Dir(s.Env.Kubectl) + ":" + os.Getenv("PATH")
	result, err := harness.Run(s.ctx, "", []string{
		"KUBECONFIG=" + s.Kubeconfig, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "PATH=" + path,
	},
		"sh", "-e", filepath.Join(clone, "typed"))
	if err != nil || result.Code != 0 {
		t.Fatalf("README.md does not work: %v\n%s", err, result)
	}
	in.guard()
	in.prints(result.Stdout+result.Stderr, "complete", "from 2 to 0 replicas", `deployment "stsbackup" successfully rolled out`)
	s.waitReady("web")

	in.prints(s.jobSucceeded(own, "first-backup"), s.Namespace+"/web")
	in.repo = s.repoOf("readme")
	out := s.runWith(in.environ(s.Endpoint, s.PodEndpoint), 0, []string{"complete"}, "list", s.Namespace+"/web", "-o", "json")
	if points := strings.Count(out.Stdout, `"state": "complete"`); points != 2 {
		t.Errorf("%d recovery points are in the repository, one by hand and one by the CronJob: %s", points, out.Stdout)
	}
	s.nothingBehind()
}

// readmeScript is what README.md makes a reader type. There is no registry, and the program is already built.
func (s *scenario) readmeScript() string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		s.t.Fatal(err)
	}
	script := ""
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		script += block[1]
	}
	if strings.Count(script, "stsbackup ") < 5 || strings.Count(script, "kubectl ") < 8 {
		s.t.Fatalf("README.md has no more commands than\n%s", script)
	}
	for _, line := range []string{"make build ", "docker build "} {
		script = regexp.MustCompile("(?m)^"+line+".*\n").ReplaceAllString(script, "")
	}
	const url = "s3://BUCKET/PREFIX?endpoint=https://S3-ENDPOINT&region=REGION"
	movers := s.repoOf("readme")
	script = strings.Replace(script, url, strings.Replace(movers, s.PodEndpoint, s.Endpoint, 1), 1)
	name, tag, _ := strings.Cut(s.Image, ":")
	own := strings.NewReplacer(
		url, movers, "REGISTRY/stsbackup:v0", s.Image, "REGISTRY/stsbackup", name, "newTag: v0", "newTag: "+tag,
		"ACCESS-KEY", s.AccessKey, "SECRET-KEY", s.SecretKey, "demo/web", s.Namespace+"/web", "-n demo ", "-n "+s.Namespace+" ",
	)
	return own.Replace(script)
}
