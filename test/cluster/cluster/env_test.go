package cluster

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// TestEnvCanBeSourced lets a shell read the lines.
func TestEnvCanBeSourced(t *testing.T) {
	values := []variable{
		{"KUBECONFIG", "/a folder/it's here/kubeconfig"},
		{"STSBACKUP_TEST_S3_ENDPOINT", "http://127.0.0.1:1234"},
		{"SECRET", `$HOME "x" \`},
		{"EMPTY", ""},
	}
	script := renderEnv(values)
	for _, v := range values {
		script += "printf '%s\\n' \"$" + v.name + "\"\n"
	}
	out, err := exec.Command("sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for i, got := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if got != values[i].value {
			t.Errorf("%s is %q, not %q", values[i].name, got, values[i].value)
		}
	}
}

// TestPortsAreTakenAgain: an address in a developer's shell stays right from run to run, unless somebody else has taken
// the port.
func TestPortsAreTakenAgain(t *testing.T) {
	c, err := spec.New("/state")
	if err != nil {
		t.Fatal(err)
	}
	c.Dir = t.TempDir()
	h := Harness{Spec: c}
	port := func() (api, s3 string) {
		sockets, err := h.listen()
		if err != nil {
			t.Fatal(err)
		}
		defer sockets.close()
		apiListener, err := net.FileListener(sockets.api)
		if err != nil {
			t.Fatal(err)
		}
		defer apiListener.Close()
		s3Listener, err := net.FileListener(sockets.s3)
		if err != nil {
			t.Fatal(err)
		}
		defer s3Listener.Close()
		return apiListener.Addr().String(), s3Listener.Addr().String()
	}
	api, s3 := port()
	if again, s3Again := port(); again != api || s3Again != s3 {
		t.Errorf("%s and %s became %s and %s", api, s3, again, s3Again)
	}
	taken, err := net.Listen("tcp4", api)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if other, s3Again := port(); other == api || s3Again != s3 {
		t.Errorf("with %s taken: %s and %s", api, other, s3Again)
	}
}
