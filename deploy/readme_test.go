package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeInstallsAsTheDocumentation checks that the README has the commands of docs/install.md, which the end-to-end
// tests run.
func TestReadmeInstallsAsTheDocumentation(t *testing.T) {
	read := func(path ...string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(append([]string{".."}, path...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	readme, install := read("README.md"), read("docs", "install.md")
	for _, way := range []string{"scheduler", "cronjob"} {
		commands := regexp.MustCompile("(?ms)^```sh " + way + "\n(.*?)^```$").FindStringSubmatch(install)
		if commands == nil {
			t.Fatalf("docs/install.md has no commands for %s", way)
		}
		if !strings.Contains(readme, "```sh\n"+commands[1]+"```\n") {
			t.Errorf("README.md installs the %s otherwise than docs/install.md, with\n%s", way, commands[1])
		}
	}
}
