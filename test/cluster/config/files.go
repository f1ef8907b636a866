package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// PauseImage is the image that holds a pod's namespaces.
const PauseImage = "localhost/pause:1"

// File is one rendered configuration file.
type File struct {
	Path, Text string
}

// Write writes files, making their folders.
func Write(files []File) error {
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(f.Path, []byte(f.Text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// scope is what templates see.
type scope struct {
	spec.Cluster
	Node       spec.Node
	PauseImage string
	CNIPlugins string
}

func render(path, text string, data scope) (File, error) {
	t, err := template.New(filepath.Base(path)).Option("missingkey=error").Parse(text)
	if err != nil {
		return File{}, fmt.Errorf("template of %s: %w", path, err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return File{}, fmt.Errorf("render %s: %w", path, err)
	}
	return File{Path: path, Text: out.String()}, nil
}

// ClusterFiles renders what the control plane reads.
func ClusterFiles(c spec.Cluster) ([]File, error) {
	return renderAll(scope{Cluster: c, Node: c.ControlPlane()}, map[string]string{
		c.RunPath("Corefile"):        corefile,
		c.RunPath("kube-proxy.yaml"): kubeProxy,
		c.RunPath("audit.yaml"):      auditPolicy,
	})
}

// NodeFiles renders what one node reads. cniPlugins is the folder of the CNI plugins, which differs between
// distributions.
func NodeFiles(c spec.Cluster, n spec.Node, cniPlugins string) ([]File, error) {
	return renderAll(scope{Cluster: c, Node: n, PauseImage: PauseImage, CNIPlugins: cniPlugins}, map[string]string{
		n.Path("containerd.toml"):           containerd,
		n.Path("cni", "10-bridge.conflist"): cniNetwork,
		n.Path("kubelet.yaml"):              kubelet,
		n.Path("resolv.conf"):               "nameserver {{.ControlPlane.Address}}\n",
	})
}

func renderAll(data scope, templates map[string]string) ([]File, error) {
	var files []File
	for path, text := range templates {
		f, err := render(path, text, data)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}
