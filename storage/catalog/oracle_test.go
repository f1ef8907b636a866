package catalog

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/local"
)

// TestResticReadsRecords has the stock restic binary read a record, as a person without stsbackup would.
func TestResticReadsRecords(t *testing.T) {
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
		mustRestic(t, dir, args...)
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
