package spec

import (
	"fmt"
	"net/netip"
	"path/filepath"
)

// Cluster is everything from which configuration files and manifests are rendered.
type Cluster struct {
	Layout
	// Pods, Services are the address ranges; the first address of Pods is the first node's.
	Pods, Services netip.Prefix
	// API is the API server's Service address, DNS the name server's, S3Address the S3 server's.
	API, DNS, S3Address netip.Addr
	// Bridge is the network device that pods are attached to.
	Bridge string
	// Nodes has at least one node; the control plane listens on the first one's address.
	Nodes []Node
	S3    S3
	// Driver is the name of the CSI driver.
	Driver string
}

// Node is one kubelet with its container runtime and CSI driver.
type Node struct {
	Name string
	// Zone is the value of the node's topology.kubernetes.io/zone label.
	Zone string
	// Address is on the pods' bridge: it exists without any pod and never leaves the machine.
	Address netip.Addr
	// Dir is the node's part of the run folder.
	Dir string
	// Health is the port of the kubelet's own health check, on the namespace's loopback.
	Health int
	// Cgroup is the root below which the node's pods live.
	Cgroup string
}

// S3 is the object store of the cluster.
type S3 struct {
	Bucket, AccessKey, SecretKey string
	Port                         int
}

// APIPort is the port of the API server inside the namespaces.
const APIPort = 6443

// EtcdPort is the client port of etcd on the namespaces' loopback; the next port is for its peers.
const EtcdPort = 2379

// New returns the cluster of a state folder.
func New(dir string) (Cluster, error) {
	layout, err := NewLayout(dir)
	if err != nil {
		return Cluster{}, err
	}
	c := Cluster{
		Layout:    layout,
		Pods:      netip.MustParsePrefix("10.244.0.0/24"),
		Services:  netip.MustParsePrefix("10.96.0.0/16"),
		API:       netip.MustParseAddr("10.96.0.1"),
		DNS:       netip.MustParseAddr("10.96.0.10"),
		S3Address: netip.MustParseAddr("10.96.0.20"),
		Bridge:    "pods0",
		S3:        S3{Bucket: "stsbackup", AccessKey: "testaccess", SecretKey: "testsecret", Port: 7070},
		Driver:    "reflink.csi.test",
	}
	c.Nodes = []Node{c.node(0)}
	return c, nil
}

// node derives the node at an index: its letter, its zone, and the address at that index in the pods' range.
func (c Cluster) node(index int) Node {
	letter := string(rune('a' + index))
	address := c.Pods.Addr()
	for range index + 1 {
		address = address.Next()
	}
	name := "node-" + letter
	return Node{
		Name:    name,
		Zone:    "zone-" + letter,
		Address: address,
		Dir:     c.RunPath(name),
		Health:  10248 + 10*index,
		Cgroup:  "/" + c.Name() + "/" + name,
	}
}

// ControlPlane is the node whose address the API server and the name server listen on.
func (c Cluster) ControlPlane() Node { return c.Nodes[0] }

// Server is the API server's address inside the namespaces.
func (c Cluster) Server() string {
	return fmt.Sprintf("https://%s:%d", c.ControlPlane().Address, APIPort)
}

// EtcdURL is etcd's address inside the namespaces.
func (c Cluster) EtcdURL() string { return fmt.Sprintf("http://127.0.0.1:%d", EtcdPort) }

// PodEndpoint is the S3 server's address for pods.
func (c Cluster) PodEndpoint() string {
	return fmt.Sprintf("http://s3.s3.svc.cluster.local:%d", c.S3.Port)
}

// PKI is the folder of keys and certificates.
func (c Cluster) PKI(elem ...string) string {
	return c.RunPath(append([]string{"pki"}, elem...)...)
}

// KubeconfigOf is the kubeconfig of a component, for use inside the namespaces.
func (c Cluster) KubeconfigOf(component string) string {
	return c.RunPath("kubeconfigs", component)
}

// Log is the log file of a component.
func (c Cluster) Log(component string) string {
	return filepath.Join(c.Logs(), component+".log")
}

// Path is a path in the node's part of the run folder.
func (n Node) Path(elem ...string) string {
	return filepath.Join(append([]string{n.Dir}, elem...)...)
}

// Runtime is the socket of the node's container runtime.
func (n Node) Runtime() string { return n.Path("containerd", "containerd.sock") }

// DriverSocket is the socket of the CSI driver on the node.
func (n Node) DriverSocket(driver string) string {
	return n.Path("kubelet", "plugins", driver, "csi.sock")
}

// Component names a component that every node has.
func (n Node) Component(name string) string { return name + "-" + n.Name }
