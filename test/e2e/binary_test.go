//go:build e2e

package e2e

import (
	"debug/buildinfo"
	"debug/elf"
	"os"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/test/harness"
)

// mostBytes is how large the binary may be, and so the image, which otherwise holds only certificates.
const mostBytes = 64 << 20

// TestBinary looks at what `make build` has built with the Dockerfile's flags: one static file that knows its version.
func TestBinary(t *testing.T) {
	t.Parallel()
	file, err := elf.Open(environment.Stsbackup)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP || program.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary needs a dynamic linker, which an empty image does not have (%s)", program.Type)
		}
	}
	if libraries, err := file.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("the binary needs %s", strings.Join(libraries, ", "))
	}
	info, err := os.Stat(environment.Stsbackup)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > mostBytes {
		t.Errorf("the binary has %d bytes", info.Size())
	}
	build, err := buildinfo.ReadFile(environment.Stsbackup)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, setting := range build.Settings {
		settings[setting.Key] = setting.Value
	}
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" {
		t.Errorf("built with %v", settings)
	}
	result, err := harness.Run(t.Context(), "", nil, environment.Stsbackup, "version")
	words := strings.Fields(result.Stdout)
	if err != nil || result.Code != 0 || len(words) != 4 || words[0] != "stsbackup" || words[1] == "dev" {
		t.Errorf("it does not know its version: %v\n%s", err, result)
	}
}
