package manifest

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Driver      string `json:"driver"`
	Provisioner string `json:"provisioner"`
}

func objects(t *testing.T, name string) []object {
	t.Helper()
	c, err := spec.New("/state")
	if err != nil {
		t.Fatal(err)
	}
	text, err := Render(name, c)
	if err != nil {
		t.Fatal(err)
	}
	var all []object
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		var o object
		if err := yaml.Unmarshal(doc, &o); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, doc)
		}
		if o.APIVersion == "" || o.Kind == "" || o.Metadata.Name == "" {
			t.Errorf("%s: no object: %s", name, doc)
		}
		all = append(all, o)
	}
	return all
}

// TestClasses checks the names on which tests rely.
func TestClasses(t *testing.T) {
	got := map[string][]string{}
	for _, o := range objects(t, Classes) {
		got[o.Kind] = append(got[o.Kind], o.Metadata.Name)
		if driver := o.Driver + o.Provisioner; o.Kind != "CSIDriver" && o.Metadata.Name != "manual" && driver != "reflink.csi.test" {
			t.Errorf("%s %s is of driver %q", o.Kind, o.Metadata.Name, driver)
		}
	}
	want := map[string][]string{
		"CSIDriver":                {"reflink.csi.test"},
		"StorageClass":             {"reflink", "reflink-immediate", "reflink-retain", "reflink-dir", "manual"},
		"VolumeSnapshotClass":      {"reflink", "reflink-retain", "reflink-slow", "reflink-broken"},
		"VolumeGroupSnapshotClass": {"reflink-group"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCoreAndS3(t *testing.T) {
	var kinds []string
	for _, o := range append(objects(t, Core), objects(t, S3)...) {
		kinds = append(kinds, o.Kind+" "+o.Metadata.Name)
	}
	for _, want := range []string{"Service kube-dns", "EndpointSlice kube-dns", "Namespace s3", "Deployment s3", "Service s3", "Secret root"} {
		if !slices.Contains(kinds, want) {
			t.Errorf("%s is missing from %s", want, strings.Join(kinds, ", "))
		}
	}
}
