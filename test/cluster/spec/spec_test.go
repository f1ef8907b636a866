package spec

import (
	"strings"
	"testing"
)

func TestLongStateFolder(t *testing.T) {
	if _, err := NewLayout("/home/somebody/project/.cluster"); err != nil {
		t.Error(err)
	}
	_, err := NewLayout("/" + strings.Repeat("x", 60))
	if err == nil || !strings.Contains(err.Error(), "STSBACKUP_CLUSTER_DIR") {
		t.Errorf("a folder too long for sockets: %v", err)
	}
}

// TestLongestSocket checks the constant against the real paths.
func TestLongestSocket(t *testing.T) {
	c, err := New("/c")
	if err != nil {
		t.Fatal(err)
	}
	n := c.ControlPlane()
	for _, socket := range []string{
		n.Runtime() + ".ttrpc", n.DriverSocket(c.Driver),
		n.Path("kubelet", "plugins_registry", c.Driver+"-reg.sock"), n.Path("kubelet", "pod-resources", "kubelet.sock"),
	} {
		if len(socket) > len(c.Dir+longestSocket) {
			t.Errorf("%s is longer than %s", socket, longestSocket)
		}
	}
}

func TestNamesAndNodes(t *testing.T) {
	one, err := New("/one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := New("/two")
	if err != nil {
		t.Fatal(err)
	}
	if one.Name() == two.Name() {
		t.Error("two folders have one name")
	}
	a, b := one.node(0), one.node(1)
	if a.Address.String() != "10.244.0.1" || b.Address.String() != "10.244.0.2" {
		t.Errorf("addresses %s, %s", a.Address, b.Address)
	}
	if a.Name == b.Name || a.Zone == b.Zone || a.Dir == b.Dir || a.Health == b.Health || a.Cgroup == b.Cgroup {
		t.Errorf("two nodes share something: %+v, %+v", a, b)
	}
}
