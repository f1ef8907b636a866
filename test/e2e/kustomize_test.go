//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// kustomize writes a kustomization on top of an overlay, with more lines in it, and applies it or deletes what is in
// it. It returns the folder.
func (s *scenario) kustomize(verb, overlay, more string) string {
	s.t.Helper()
	dir := s.clone()
	s.writeFile(dir, "kustomization.yaml", "resources: [../deploy/overlays/"+overlay+"]\n"+more)
	if _, err := s.KubectlInput(s.ctx, "", verb, "--kustomize", dir); err != nil {
		s.t.Fatal(err)
	}
	return dir
}

// clone returns an empty folder beside a copy of the manifests, named deploy, so that a kustomization can use a
// relative path. The CronJobs in the copy are suspended: their hour may come in the middle of a test.
func (s *scenario) clone() string {
	s.t.Helper()
	root := s.t.TempDir()
	dir := filepath.Join(root, "mine")
	if err := os.CopyFS(filepath.Join(root, "deploy"), os.DirFS(deployed())); err != nil {
		s.t.Fatal(err)
	}
	for _, name := range []string{"backup.yaml", "prune.yaml"} {
		path := filepath.Join(root, "deploy", "cronjob", name)
		text, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		suspended := strings.Replace(string(text), "\n  schedule:", "\n  suspend: true\n  schedule:", 1)
		if suspended == string(text) {
			s.t.Fatalf("%s has no schedule:\n%s", path, text)
		}
		s.writeFile(filepath.Dir(path), name, suspended)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	return dir
}

func (s *scenario) writeFile(dir, name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// removeClusterRights deletes a ClusterRole and the binding of the same name.
func (s *scenario) removeClusterRights(names ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, name := range names {
		if _, err := s.KubectlInput(ctx, "", "delete", "clusterrole/"+name, "clusterrolebinding/"+name, "--ignore-not-found"); err != nil {
			s.t.Error(err)
		}
	}
}
