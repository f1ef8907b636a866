package config

import (
	"fmt"
	"strings"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// Names of the components, which are also the names of their logs.
const (
	Etcd               = "etcd"
	APIServer          = "kube-apiserver"
	ControllerManager  = "kube-controller-manager"
	Scheduler          = "kube-scheduler"
	KubeProxy          = "kube-proxy"
	KubeRouter         = "kube-router"
	CoreDNS            = "coredns"
	SnapshotController = "snapshot-controller"
	Provisioner        = "csi-provisioner"
	Snapshotter        = "csi-snapshotter"
	Resizer            = "csi-resizer"
	// Per node: the component's name is Node.Component of one of these.
	Containerd = "containerd"
	Kubelet    = "kubelet"
	Driver     = "csi-driver"
)

// Command says how to start a component.
type Command struct {
	Name string
	Argv []string
	Env  []string
}

// EtcdCommand starts the store. It does not sync to disk, because its data does not outlive the run.
func EtcdCommand(c spec.Cluster) Command {
	peer := fmt.Sprintf("http://127.0.0.1:%d", spec.EtcdPort+1)
	return Command{Name: Etcd, Argv: []string{
		"etcd", "--name=test", "--data-dir=" + c.RunPath("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls=" + c.EtcdURL(), "--advertise-client-urls=" + c.EtcdURL(),
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=test=" + peer,
		"--logger=zap", "--log-level=warn",
	}}
}

// APIServerCommand starts the API server, with RBAC on.
func APIServerCommand(c spec.Cluster) Command {
	return Command{Name: APIServer, Argv: []string{
		c.Program("kube-apiserver"),
		"--etcd-servers=" + c.EtcdURL(),
		"--bind-address=" + c.ControlPlane().Address.String(),
		"--advertise-address=" + c.ControlPlane().Address.String(),
		fmt.Sprintf("--secure-port=%d", spec.APIPort),
		"--service-cluster-ip-range=" + c.Services.String(),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--client-ca-file=" + c.PKI("ca.crt"),
		"--tls-cert-file=" + c.PKI("apiserver.crt"),
		"--tls-private-key-file=" + c.PKI("apiserver.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.PKI("service-accounts.crt"),
		"--service-account-signing-key-file=" + c.PKI("service-accounts.key"),
		"--kubelet-client-certificate=" + c.PKI("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + c.PKI("apiserver-kubelet-client.key"),
		"--kubelet-certificate-authority=" + c.PKI("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--audit-policy-file=" + c.RunPath("audit.yaml"),
		"--audit-log-path=" + c.Log("audit"),
		"--profiling=false",
		"--v=1",
	}}
}

// ControlPlaneCommands starts the components that need only the API server.
func ControlPlaneCommands(c spec.Cluster) []Command {
	return []Command{
		{Name: ControllerManager, Argv: []string{
			c.Program("kube-controller-manager"),
			"--kubeconfig=" + c.KubeconfigOf(ControllerManager),
			"--authentication-kubeconfig=" + c.KubeconfigOf(ControllerManager),
			"--authorization-kubeconfig=" + c.KubeconfigOf(ControllerManager),
			"--leader-elect=false", "--bind-address=127.0.0.1",
			"--use-service-account-credentials=true",
			"--service-account-private-key-file=" + c.PKI("service-accounts.key"),
			"--root-ca-file=" + c.PKI("ca.crt"),
			"--cluster-signing-cert-file=" + c.PKI("ca.crt"), "--cluster-signing-key-file=" + c.PKI("ca.key"),
			// The CNI plugin assigns pod addresses, and there is no cloud.
			"--allocate-node-cidrs=false", "--controllers=*,-node-ipam-controller,-cloud-node-lifecycle-controller",
			"--v=1",
		}},
		{Name: Scheduler, Argv: []string{
			c.Program("kube-scheduler"),
			"--kubeconfig=" + c.KubeconfigOf(Scheduler),
			"--authentication-kubeconfig=" + c.KubeconfigOf(Scheduler),
			"--authorization-kubeconfig=" + c.KubeconfigOf(Scheduler),
			"--leader-elect=false", "--bind-address=127.0.0.1", "--v=1",
		}},
		{Name: KubeProxy, Argv: []string{c.Program("kube-proxy"), "--config=" + c.RunPath("kube-proxy.yaml"), "--v=1"}},
		{Name: CoreDNS, Argv: []string{c.Program("coredns"), "-conf", c.RunPath("Corefile")}},
	}
}

// KubeRouterCommand starts kube-router, only to enforce NetworkPolicies: others look after routes and Services. It
// needs its node to exist, and it takes iptables' filter table for its own. So there can be only one kube-router, which
// handles the pods of one node.
func KubeRouterCommand(c spec.Cluster) Command {
	return Command{Name: KubeRouter, Argv: []string{
		c.Program("kube-router"),
		"--kubeconfig=" + c.KubeconfigOf(KubeRouter),
		"--hostname-override=" + c.ControlPlane().Name,
		"--run-firewall=true", "--run-router=false", "--run-service-proxy=false", "--enable-cni=false",
		"--service-cluster-ip-range=" + c.Services.String(),
		// kube-router sees changes of pods and policies at once; the period is for what it could not write then.
		"--iptables-sync-period=1m",
		"--health-addr=127.0.0.1", "--health-port=20244",
		"--v=1",
	}}
}

// SidecarCommands starts the snapshot controller and the driver's sidecars, which need the VolumeSnapshot resources.
func SidecarCommands(c spec.Cluster) []Command {
	common := []string{
		"--kubeconfig=" + c.KubeconfigOf("storage"), "--leader-election=false",
		"--kube-api-qps=50", "--kube-api-burst=100", "--v=2",
	}
	groups := "--feature-gates=CSIVolumeGroupSnapshot=true"
	socket := "--csi-address=" + c.ControlPlane().DriverSocket(c.Driver)
	sidecar := func(name string, args ...string) Command {
		return Command{
			Name: name, Argv: append(append([]string{c.Program(name)}, common...), args...),
			// The provisioner prefers this variable to its flag, and the person who starts the cluster may have the
			// host's KUBECONFIG.
			Env: []string{"KUBECONFIG=" + c.KubeconfigOf("storage")},
		}
	}
	return []Command{
		sidecar(SnapshotController, groups),
		sidecar(Snapshotter, groups, socket, "--extra-create-metadata"),
		sidecar(Provisioner, socket, "--extra-create-metadata", "--default-fstype=ext4", "--feature-gates=Topology=true"),
		sidecar(Resizer, socket),
	}
}

// ContainerdCommand starts a node's container runtime.
func ContainerdCommand(n spec.Node) Command {
	return Command{Name: n.Component(Containerd), Argv: []string{"containerd", "--config", n.Path("containerd.toml"), "--log-level", "warn"}}
}

// KubeletCommand starts a node's kubelet.
func KubeletCommand(c spec.Cluster, n spec.Node) Command {
	labels := []string{"topology.kubernetes.io/zone=" + n.Zone, "topology.kubernetes.io/region=test"}
	return Command{Name: n.Component(Kubelet), Argv: []string{
		c.Program("kubelet"),
		"--config=" + n.Path("kubelet.yaml"),
		"--kubeconfig=" + c.KubeconfigOf(n.Component(Kubelet)),
		"--root-dir=" + n.Path("kubelet"),
		"--hostname-override=" + n.Name,
		"--node-ip=" + n.Address.String(),
		"--node-labels=" + strings.Join(labels, ","),
		// A lower score would need CAP_SYS_RESOURCE.
		"--oom-score-adj=0",
		"--v=2",
	}}
}

// DriverCommand starts a node's CSI driver.
func DriverCommand(c spec.Cluster, n spec.Node) Command {
	return Command{Name: n.Component(Driver), Argv: []string{
		c.Program("reflink-csi"),
		"-name", c.Driver, "-node", n.Name, "-tag", c.Name(),
		"-data", c.Volumes(), "-kubelet-dir", n.Path("kubelet"), "-verbose",
	}}
}
