package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

func rendered(t *testing.T) (spec.Cluster, map[string]string) {
	t.Helper()
	c, err := spec.New("/state")
	if err != nil {
		t.Fatal(err)
	}
	files, err := ClusterFiles(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes {
		more, err := NodeFiles(c, n, "/cni/plugins")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	byName := map[string]string{}
	for _, f := range files {
		if !strings.HasPrefix(f.Path, c.Run()+"/") {
			t.Errorf("%s is outside the run folder", f.Path)
		}
		byName[filepath.Base(f.Path)] = f.Text
	}
	return c, byName
}

func TestKubelet(t *testing.T) {
	c, files := rendered(t)
	var kubelet struct {
		CgroupRoot               string   `json:"cgroupRoot"`
		ContainerRuntimeEndpoint string   `json:"containerRuntimeEndpoint"`
		ClusterDNS               []string `json:"clusterDNS"`
		PodLogsDir               string   `json:"podLogsDir"`
		TLSCertFile              string   `json:"tlsCertFile"`
	}
	if err := yaml.Unmarshal([]byte(files["kubelet.yaml"]), &kubelet); err != nil {
		t.Fatal(err)
	}
	n := c.ControlPlane()
	if kubelet.CgroupRoot != n.Cgroup || kubelet.ContainerRuntimeEndpoint != "unix://"+n.Runtime() || kubelet.PodLogsDir != c.PodLogs() ||
		len(kubelet.ClusterDNS) != 1 || kubelet.ClusterDNS[0] != c.DNS.String() || kubelet.TLSCertFile != "/state/run/pki/kubelet-node-a.crt" {
		t.Errorf("%+v", kubelet)
	}
}

func TestFilesAreWellFormed(t *testing.T) {
	_, files := rendered(t)
	for _, name := range []string{"kube-proxy.yaml", "10-bridge.conflist"} {
		var any map[string]any
		if err := yaml.Unmarshal([]byte(files[name]), &any); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range files {
		if text == "" || strings.Contains(text, "{{") || strings.Contains(text, "no value") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if !strings.Contains(files["containerd.toml"], `bin_dir = "/cni/plugins"`) {
		t.Error("the container runtime does not know the network plugins")
	}
}

// TestCommandsStayInTheStateFolder checks that every path on a command line is in the cluster's own folder.
func TestCommandsStayInTheStateFolder(t *testing.T) {
	c, _ := rendered(t)
	n := c.ControlPlane()
	commands := append(ControlPlaneCommands(c), SidecarCommands(c)...)
	commands = append(
		commands,
		KubeRouterCommand(c),
		EtcdCommand(c),
		APIServerCommand(c),
		ContainerdCommand(n),
		KubeletCommand(c, n),
		DriverCommand(c, n),
	)
	names := map[string]bool{}
	for _, command := range commands {
		if names[command.Name] {
			t.Errorf("two components are named %s: they would share a log", command.Name)
		}
		names[command.Name] = true
		for _, arg := range command.Argv {
			if value := arg[strings.Index(arg, "=")+1:]; strings.HasPrefix(value, "/") && !strings.HasPrefix(value, c.Dir+"/") {
				t.Errorf("%s: %s", command.Name, arg)
			}
		}
	}
	if !strings.Contains(strings.Join(APIServerCommand(c).Argv, " "), "--authorization-mode=Node,RBAC") {
		t.Error("RBAC is off")
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "file")
	if err := Write([]File{{Path: path, Text: "text"}}); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
}
