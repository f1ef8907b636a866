package images

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/test/cluster/image"
)

// stage is one FROM of a Dockerfile and what follows it.
type stage struct {
	from  string
	steps map[string][]string // arguments, by instruction
}

// dockerfile reads the repository's Dockerfile.
func dockerfile(t *testing.T) (stages []stage) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		instruction, rest, found := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case strings.HasPrefix(instruction, "#") || !found:
		case instruction == "FROM":
			stages = append(stages, stage{from: rest, steps: map[string][]string{}})
		case len(stages) == 0: // what is before them applies to all
		default:
			last := stages[len(stages)-1]
			last.steps[instruction] = append(last.steps[instruction], rest)
		}
	}
	if len(stages) != 2 {
		t.Fatalf("%d stages; one builds, one is the image", len(stages))
	}
	return stages
}

// TestDockerfile checks that the Dockerfile makes the image that we want, without Docker.
func TestDockerfile(t *testing.T) {
	stages := dockerfile(t)
	build, final := stages[0], stages[1]
	if !strings.HasPrefix(build.from, "--platform=$BUILDPLATFORM ") {
		t.Errorf("the compiler would be emulated for other platforms: FROM %s", build.from)
	}
	run := strings.Join(build.steps["RUN"], "\n")
	for _, part := range []string{"CGO_ENABLED=0", "GOOS=$TARGETOS", "GOARCH=$TARGETARCH", "-X main.version=$VERSION", "-trimpath"} {
		if !strings.Contains(run, part) {
			t.Errorf("the build has no %s:\n%s", part, run)
		}
	}
	if declared := strings.Join(
		build.steps["ARG"],
		" ",
	); !strings.Contains(declared, "TARGETOS") || !strings.Contains(declared, "TARGETARCH") ||
		!strings.Contains(declared, "VERSION") {
		t.Errorf("arguments %q", declared)
	}
	if final.from != "scratch" || len(final.steps["RUN"]) > 0 {
		t.Errorf("the image is more than the binary: FROM %s", final.from)
	}
	if user := strings.Join(final.steps["USER"], " "); !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("USER %s: runAsNonRoot needs a number that is not 0", user)
	}
	copied := strings.Join(build.steps["COPY"], "\n")
	for _, folder := range folders(t) {
		if !strings.Contains(copied, folder+" "+folder) {
			t.Errorf("%s is not copied, and the build needs it", folder)
		}
	}
}

// folders are the folders of the module from which the binary is built.
func folders(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if and .Module .Module.Main}}{{.ImportPath}}{{end}}", "./cmd/stsbackup")
	cmd.Dir = filepath.Join("..", "..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for path := range strings.Lines(string(out)) {
		path, _ = strings.CutPrefix(strings.TrimSpace(path), "github.com/stsbackup/stsbackup/")
		folder, _, _ := strings.Cut(path, "/")
		if folder != "" && !slices.Contains(found, folder) {
			found = append(found, folder)
		}
	}
	if !slices.Contains(found, "storage") {
		t.Fatalf("folders %q", found)
	}
	return found
}

// TestImageIsThatOfTheDockerfile: the end-to-end tests run what users run.
func TestImageIsThatOfTheDockerfile(t *testing.T) {
	stages := dockerfile(t)
	build, final := stages[0], stages[1]
	if user := strings.Join(final.steps["USER"], " "); user != productUser {
		t.Errorf("the test cluster's image has user %s, the Dockerfile %s", productUser, user)
	}
	binary := filepath.Join(t.TempDir(), "stsbackup")
	if err := os.WriteFile(binary, []byte("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	built, err := image.Static(runtime.GOARCH, productPath, binary, productUser, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := built.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if want := `["` + strings.Join(config.Config.Entrypoint, `", "`) + `"]`; strings.Join(final.steps["ENTRYPOINT"], " ") != want {
		t.Errorf("the test cluster's image has entry point %s, the Dockerfile %s", want, final.steps["ENTRYPOINT"])
	}
	copies := strings.Join(final.steps["COPY"], "\n")
	for _, path := range []string{productPath, authorities} {
		if !strings.Contains(copies, " "+path) {
			t.Errorf("the Dockerfile does not copy %s, which the test cluster's image has:\n%s", path, copies)
		}
	}
	flags := regexp.MustCompile(`-ldflags "([^$"]*)`).FindStringSubmatch(strings.Join(build.steps["RUN"], "\n"))
	if flags == nil || flags[1] != productFlags {
		t.Errorf("the Dockerfile links with %q, the test cluster with %q", flags, productFlags)
	}
}
