package modules

import "strings"

// Group is the programs of one module below build/.
type Group struct {
	// Name is the folder of the module.
	Name string
	// Packages are the programs; each is named after the last element of its path.
	Packages []string
	// Variables are set in the programs by the linker, so that they know their version.
	Variables []string
}

// Versions of what is built. The modules' go.mod files also have them, and decide; these are what the programs say
// about themselves.
const (
	KubernetesVersion = "v1.34.4"
	kubeRouterVersion = "v2.10.0"
	versitygwVersion  = "1.8.0"
	minioTime         = "2026-02-12T20:18:48Z"
)

// Cluster is what the cluster is made of.
func Cluster() []Group {
	return []Group{kubernetes(), sidecars(), kubeRouter(), coreDNS(), versitygw()}
}

// Servers is what the storage tests need: two S3 servers.
func Servers() []Group { return []Group{versitygw(), minio()} }

func kubernetes() Group {
	group := Group{Name: "kubernetes"}
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"} {
		group.Packages = append(group.Packages, "k8s.io/kubernetes/cmd/"+name)
	}
	// Without these variables the API server claims a version that kubectl cannot parse.
	parts := strings.SplitN(strings.TrimPrefix(KubernetesVersion, "v"), ".", 3)
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		group.Variables = append(group.Variables,
			pkg+".gitVersion="+KubernetesVersion, pkg+".gitMajor="+parts[0], pkg+".gitMinor="+parts[1])
	}
	return group
}

func sidecars() Group {
	const from = "github.com/kubernetes-csi/"
	return Group{Name: "sidecars", Packages: []string{
		from + "external-provisioner/v6/cmd/csi-provisioner",
		from + "external-resizer/v2/cmd/csi-resizer",
		from + "external-snapshotter/v8/cmd/csi-snapshotter",
		from + "external-snapshotter/v8/cmd/snapshot-controller",
	}}
}

func kubeRouter() Group {
	const from = "github.com/cloudnativelabs/kube-router/v2/"
	return Group{
		Name:      "kube-router",
		Packages:  []string{from + "cmd/kube-router"},
		Variables: []string{from + "pkg/version.Version=" + kubeRouterVersion},
	}
}

func coreDNS() Group {
	return Group{Name: "coredns", Packages: []string{"github.com/coredns/coredns"}}
}

func versitygw() Group {
	return Group{
		Name:      "versitygw",
		Packages:  []string{"github.com/versity/versitygw/cmd/versitygw"},
		Variables: []string{"main.Version=" + versitygwVersion},
	}
}

func minio() Group {
	const pkg = "github.com/minio/minio/cmd"
	return Group{
		Name:      "minio",
		Packages:  []string{"github.com/minio/minio"},
		Variables: []string{pkg + ".Version=" + minioTime, pkg + ".ReleaseTag=RELEASE." + strings.ReplaceAll(minioTime, ":", "-")},
	}
}
