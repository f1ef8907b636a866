package deploy

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// jobStub is a kubectl that knows one Job. When it has been asked about the Job three times, the Job ends as $ENDS
// says. Like the real kubectl, it waits in vain for Complete if the Job fails, and fails to read the log of a container
// that never started.
const jobStub = `#!/bin/sh
case "$*" in
*" wait "*) [ "$ENDS" = Complete ] || exit 1 ;;
*".type}: {.message}"*) echo "$ENDS: as it is" ;;
*"get job"*) echo x >> "$COUNT"; [ "$(wc -l < "$COUNT")" -lt 3 ] || echo "$ENDS" ;;
*logs*) echo "what the backup said"; [ "$ENDS" = Complete ] || {
  echo "container is waiting to start: PodInitializing" >&2
  case "$*" in *--ignore-errors*) ;; *) exit 1 ;; esac
} ;;
esac
`

// TestJobIsWaitedFor: the commands with which docs/install.md waits for a Job end when the Job is over, however it
// ends, and show why.
func TestJobIsWaitedFor(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```sh works-cronjob\n(.*?)^```$").FindStringSubmatch(string(text))
	if block == nil {
		t.Fatal("docs/install.md does not say how to look at the first backup")
	}
	for _, ends := range []string{"Complete", "Failed"} {
		programs, count := t.TempDir(), filepath.Join(t.TempDir(), "count")
		for name, script := range map[string]string{"kubectl": jobStub, "sleep": "#!/bin/sh\n"} {
			if err := os.WriteFile(filepath.Join(programs, name), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", "-e", "-c", block[1])
		cmd.Env = []string{"PATH=" + programs + ":" + os.Getenv("PATH"), "COUNT=" + count, "ENDS=" + ends}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "what the backup said") || !strings.Contains(string(out), ends+": as it is") {
			t.Errorf("a Job that ends %s: %v\n%s", ends, err, out)
		}
		if asked, err := os.ReadFile(count); err != nil || strings.Count(string(asked), "x") != 3 {
			t.Errorf("a Job that ends %s: it was asked for %q (%v)", ends, asked, err)
		}
	}
}
