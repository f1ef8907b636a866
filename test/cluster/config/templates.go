package config

const corefile = `.:53 {
  bind {{.Node.Address}}
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig {{.KubeconfigOf "coredns"}}
    pods insecure
    ttl 5
  }
  cache 5
}
`

// kube-proxy does not change the connection tracking table, whose size belongs to the whole machine. It keeps its rules
// in a table of nftables of its own, because kube-router rewrites all of iptables' filter table each time, and so would
// undo changes that kube-proxy made there meanwhile.
const kubeProxy = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: {{.KubeconfigOf "kube-proxy"}}}
mode: nftables
clusterCIDR: {{.Pods}}
hostnameOverride: {{.Node.Name}}
bindAddress: {{.Node.Address}}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
nftables: {syncPeriod: 30s, minSyncPeriod: 0s}
`

// The first sixteen addresses of the range are for the nodes. The bridge plugin caches its results in /var/lib/cni,
// which is private to the namespaces.
const cniNetwork = `{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "{{.Bridge}}", "isGateway": true, "hairpinMode": true, "ipMasq": true,
   "ipam": {"type": "host-local", "dataDir": "{{.RunPath "ipam"}}",
            "ranges": [[{"subnet": "{{.Pods}}", "rangeStart": "10.244.0.16", "gateway": "{{.ControlPlane.Address}}"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}
]}
`

// restrict_oom_score_adj: without CAP_SYS_RESOURCE runc cannot lower a score. Unprivileged ports: images that do not
// run as root serve port 80.
const containerd = `version = 2
root = "{{.Node.Path "containerd" "root"}}"
state = "{{.Node.Path "containerd" "state"}}"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{{.Node.Runtime}}"
[ttrpc]
  address = "{{.Node.Runtime}}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{{.Node.Path "containerd" "opt"}}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{{.PauseImage}}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  enable_unprivileged_ports = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{{.CNIPlugins}}"
    conf_dir = "{{.Node.Path "cni"}}"
`

// Images come from archives and cannot be pulled again, so the kubelet never collects any. Nor does it evict pods when
// the developer's own files fill the disk.
const kubelet = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: {{.PKI "ca.crt"}}}
authorization: {mode: Webhook}
address: {{.Node.Address}}
readOnlyPort: 0
healthzBindAddress: 127.0.0.1
healthzPort: {{.Node.Health}}
tlsCertFile: {{.PKI (.Node.Component "kubelet")}}.crt
tlsPrivateKeyFile: {{.PKI (.Node.Component "kubelet")}}.key
containerRuntimeEndpoint: unix://{{.Node.Runtime}}
cgroupDriver: cgroupfs
cgroupRoot: {{.Node.Cgroup}}
cgroupsPerQOS: true
enforceNodeAllocatable: [pods]
failCgroupV1: false
failSwapOn: false
clusterDNS: [{{.DNS}}]
clusterDomain: cluster.local
resolvConf: {{.Node.Path "resolv.conf"}}
podLogsDir: {{.PodLogs}}
volumePluginDir: {{.Node.Path "kubelet" "volumeplugins"}}
maxPods: 200
makeIPTablesUtilChains: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%"}
syncFrequency: 20s
nodeStatusUpdateFrequency: 10s
`

// auditPolicy makes the API server log the requests of the accounts in the namespace stsbackup, and of administrators,
// because they act as others: tests compare that with the rights that were granted.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts:stsbackup", "system:masters"]
- level: None
`
