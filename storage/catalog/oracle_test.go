package catalog

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/local"
)

// TestResticReadsRecords has the stock restic binary read a record: what a person without stsbackup would do.
func TestResticReadsRecords(t *testing.T) {
	binary, err := exec.LookPath("restic")
	if err != nil {
		t.Fatal("this test needs the restic program as the judge of the format: apt-get install restic")
	}
	dir := t.TempDir()
	root, err := local.Open(local.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	password := Password("root", "demo", "web")
	c, err := OpenOrCreate(t.Context(), root, "demo", "web", password)
	if err != nil {
		t.Fatal(err)
	}
	want := world{Catalog: c}.record(t, "3fa9", started, StateComplete)
	manifest := []byte("kind: StatefulSet\n")
	if err := c.Commit(t.Context(), want, map[string][]byte{"web.yaml": manifest}); err != nil {
		t.Fatal(err)
	}

	target := t.TempDir()
	for _, args := range [][]string{
		{"check", "--read-data"},
		{"restore", "--tag", "record", "--host", "demo/web", "--target", target, "latest"},
	} {
		cmd := exec.CommandContext(t.Context(), binary, append([]string{"--no-cache", "-q", "-r", filepath.Join(dir, "demo/web")}, args...)...)
		cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+password.Reveal())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("restic %v: %v\n%s", args, err, out)
		}
	}
	encoded, err := os.ReadFile(filepath.Join(target, "record.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got Record
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	want.Version = RecordVersion
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if data, err := os.ReadFile(filepath.Join(target, "manifests/web.yaml")); err != nil || string(data) != string(manifest) {
		t.Errorf("manifest: %q, %v", data, err)
	}
}
