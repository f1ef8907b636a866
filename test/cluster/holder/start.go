package holder

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/test/cluster/config"
	"github.com/stsbackup/stsbackup/test/cluster/manifest"
	"github.com/stsbackup/stsbackup/test/cluster/pki"
	"github.com/stsbackup/stsbackup/test/cluster/process"
	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// readyWithin bounds the wait for any one component. A machine with two busy processors needs a small part of it.
const readyWithin = 2 * time.Minute

// start brings every component up and returns the CSI drivers' processes.
func (h *holder) start(ctx context.Context, now time.Time) (drivers []*process.Process, err error) {
	// 1. Keys and configuration.
	if err := h.prepare(now); err != nil {
		return nil, err
	}
	h.report.step("keys and configuration")
	// 2. The network and the volumes' file system.
	if err := makeNetwork(ctx, h.supervisor, h.Cluster); err != nil {
		return nil, err
	}
	if err := mountVolumes(ctx, h.supervisor, h.Cluster); err != nil {
		return nil, err
	}
	h.report.step("network and volumes")
	// 3. The API server, beside the container runtimes with the images.
	if err := h.foundation(ctx); err != nil {
		return nil, err
	}
	// 4. The control plane and the nodes.
	if err := h.controlPlane(); err != nil {
		return nil, err
	}
	for _, n := range h.Nodes {
		driver, err := h.node(n)
		if err != nil {
			return nil, err
		}
		drivers = append(drivers, driver)
	}
	// 5. The objects that every cluster has; the sidecars as soon as their resources are there.
	if err := h.objects(ctx); err != nil {
		return nil, err
	}
	// 6. Nothing is ready before it has been seen to work.
	return drivers, h.proven(ctx)
}

// prepare writes keys, certificates, kubeconfigs and configuration files.
func (h *holder) prepare(now time.Time) error {
	if err := pki.Generate(h.Cluster, "https://"+h.status.API, now); err != nil {
		return fmt.Errorf("make keys and certificates: %w", err)
	}
	var err error
	if h.api, err = newAPI(h.Cluster); err != nil {
		return fmt.Errorf("make keys and certificates: %w", err)
	}
	plugins, err := cniPlugins()
	if err != nil {
		return err
	}
	files, err := config.ClusterFiles(h.Cluster)
	if err != nil {
		return err
	}
	for _, n := range h.Nodes {
		more, err := config.NodeFiles(h.Cluster, n, plugins)
		if err != nil {
			return err
		}
		files = append(files, more...)
	}
	if err := config.Write(files); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// cniPlugins finds the folder of the network plugins, which differs between distributions.
func cniPlugins() (string, error) {
	places := []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}
	for _, dir := range places {
		if _, err := os.Stat(dir + "/bridge"); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("the network plugin bridge is in none of %v; install containernetworking-plugins", places)
}

// foundation starts etcd, the API server and the container runtimes.
func (h *holder) foundation(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := h.store(ctx); err != nil {
			return err
		}
		h.report.step("API server")
		return nil
	})
	for _, n := range h.Nodes {
		group.Go(func() error { return h.runtime(ctx, n) })
	}
	return group.Wait()
}

// store starts etcd and the API server on it.
func (h *holder) store(ctx context.Context) error {
	etcd, err := h.component(config.EtcdCommand(h.Cluster))
	if err != nil {
		return err
	}
	if err := etcd.Await(ctx, readyWithin, answers(h.EtcdURL()+"/health")); err != nil {
		return err
	}
	server, err := h.component(config.APIServerCommand(h.Cluster))
	if err != nil {
		return err
	}
	return server.Await(ctx, readyWithin, func(ctx context.Context) error { return h.api.get(ctx, "/readyz", nil) })
}

// runtime starts a node's container runtime and gives it the images.
func (h *holder) runtime(ctx context.Context, n spec.Node) error {
	containerd, err := h.component(config.ContainerdCommand(n))
	if err != nil {
		return err
	}
	err = containerd.Await(ctx, readyWithin, func(ctx context.Context) error {
		return h.supervisor.Run(ctx, "ctr", "--address", n.Runtime(), "version")
	})
	if err != nil {
		return err
	}
	archives, err := imageArchives(h.Layout)
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if err := h.supervisor.Run(ctx, "ctr", "--address", n.Runtime(), "--namespace", "k8s.io", "images", "import", archive); err != nil {
			return fmt.Errorf("load images into %s: %w", n.Name, err)
		}
	}
	h.report.step("container runtime and images of " + n.Name)
	return nil
}

// controlPlane starts what needs nothing but the API server.
func (h *holder) controlPlane() error {
	for _, command := range config.ControlPlaneCommands(h.Cluster) {
		if _, err := h.component(command); err != nil {
			return err
		}
	}
	return nil
}

// node starts a node's kubelet and CSI driver.
func (h *holder) node(n spec.Node) (driver *process.Process, err error) {
	if driver, err = h.component(config.DriverCommand(h.Cluster, n)); err != nil {
		return nil, err
	}
	_, err = h.component(config.KubeletCommand(h.Cluster, n))
	return driver, err
}

// objects creates the objects that every cluster has, and starts the sidecars between their resources and the classes.
func (h *holder) objects(ctx context.Context) error {
	for _, name := range []string{manifest.Core, manifest.S3} {
		if err := h.create(ctx, name); err != nil {
			return err
		}
	}
	if err := h.kubectl(ctx, nil, "create", "--filename", h.CRDs()); err != nil {
		return fmt.Errorf("create the VolumeSnapshot resources: %w", err)
	}
	if err := h.snapshotResources(ctx); err != nil {
		return err
	}
	for _, command := range config.SidecarCommands(h.Cluster) {
		if _, err := h.component(command); err != nil {
			return err
		}
	}
	if err := h.create(ctx, manifest.Classes); err != nil {
		return err
	}
	h.report.step("storage classes, CSI sidecars")
	return nil
}

func (h *holder) create(ctx context.Context, name string) error {
	text, err := manifest.Render(name, h.Cluster)
	if err != nil {
		return err
	}
	if err := h.kubectl(ctx, text, "create", "--filename", "-"); err != nil {
		return fmt.Errorf("create the objects of %s: %w", name, err)
	}
	return nil
}

// kubectl runs kubectl as an administrator. The manifests are ours, so they are not checked against a schema that would first have to be fetched.
func (h *holder) kubectl(ctx context.Context, input []byte, args ...string) error {
	argv := append([]string{h.Program("kubectl"), "--kubeconfig", h.KubeconfigOf("admin"), "--cache-dir", h.RunPath("kubectl-cache")}, args...)
	return h.supervisor.RunInput(ctx, input, append(argv, "--validate=ignore")...)
}
