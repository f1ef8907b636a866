package modules

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
	"github.com/stsbackup/stsbackup/test/cluster/stamp"
)

// TestPinsMatchGroups checks that the groups and their modules agree.
func TestPinsMatchGroups(t *testing.T) {
	for _, g := range append(Cluster(), Servers()...) {
		data, err := os.ReadFile(filepath.Join("..", "build", g.Name, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for _, pkg := range g.Packages {
			if !strings.Contains(string(data), pkg+"\n") {
				t.Errorf("%s is no tool of build/%s", pkg, g.Name)
			}
		}
		for _, version := range g.versions() {
			if !strings.Contains(string(data), version) {
				t.Errorf("%s claims version %s, which its go.mod does not pin", g.Name, version)
			}
		}
	}
}

// versions returns the module versions that a group's programs claim to be.
func (g Group) versions() []string {
	switch g.Name {
	case "kubernetes":
		return []string{"k8s.io/kubernetes " + KubernetesVersion}
	case "kube-router":
		return []string{"github.com/cloudnativelabs/kube-router/v2 " + kubeRouterVersion}
	case "versitygw":
		return []string{"github.com/versity/versitygw v" + versitygwVersion}
	case "minio":
		moment, _ := time.Parse(time.RFC3339, minioTime)
		return []string{"github.com/minio/minio v0.0.0-" + moment.Format("20060102150405")}
	}
	return nil
}

// TestUpToDateIsLeftAlone: this test can run no command, so only what needs none succeeds.
func TestUpToDateIsLeftAlone(t *testing.T) {
	source, state := t.TempDir(), t.TempDir()
	module := filepath.Join(source, "thing")
	layout := spec.Layout{Dir: state}
	for path, text := range map[string]string{
		filepath.Join(module, "go.mod"): "module thing\n", filepath.Join(module, "go.sum"): "", layout.Program("thing"): "",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	b := Builder{Source: source, Layout: layout, Out: &out, Now: time.Now, Run: func(_ context.Context, cmd *exec.Cmd) error {
		_, err := io.WriteString(cmd.Stdout, "undefined: x\n")
		return errors.Join(errors.New("exit status 1"), err)
	}}
	g := Group{Name: "thing", Packages: []string{"example.test/thing"}}
	key, err := b.key(g)
	if err != nil {
		t.Fatal(err)
	}
	if err := stamp.Set(layout.Stamps(), g.Name, key); err != nil {
		t.Fatal(err)
	}
	if err := b.Build(t.Context(), []Group{g}); err != nil || out.Len() > 0 {
		t.Errorf("up to date: %v, %s", err, out.String())
	}
	changed := g
	changed.Variables = []string{"main.Version=2"}
	err = b.Build(t.Context(), []Group{changed})
	if err == nil || !strings.Contains(err.Error(), "build thing") || !strings.Contains(err.Error(), "build-thing.log") ||
		!strings.Contains(err.Error(), "undefined: x") {
		t.Errorf("other flags: %v", err)
	}
	if err := os.WriteFile(filepath.Join(module, "go.sum"), []byte("example.test/x v1.0.0 h1:x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Build(t.Context(), []Group{g}); err == nil {
		t.Error("another go.sum counts as up to date")
	}
}
