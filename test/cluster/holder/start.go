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
	// 3. The control plane and the nodes, side by side.
	if drivers, err = h.components(ctx); err != nil {
		return nil, err
	}
	// 4. Nothing is ready before it has been seen to work.
	return drivers, h.proven(ctx)
}

// components starts everything. A node needs only the API server from the control plane, so its container runtime
// starts and loads its images meanwhile.
func (h *holder) components(ctx context.Context) ([]*process.Process, error) {
	group, ctx := errgroup.WithContext(ctx)
	serving := make(chan struct{})
	group.Go(func() error {
		if err := h.apiServer(ctx); err != nil {
			return err
		}
		close(serving)
		h.report.step("API server")
		if err := h.startAll(config.ControlPlaneCommands(h.Cluster)); err != nil {
			return err
		}
		return h.objects(ctx)
	})
	drivers := make([]*process.Process, len(h.Nodes))
	for i, n := range h.Nodes {
		group.Go(func() (err error) {
			drivers[i], err = h.node(ctx, n, serving)
			return err
		})
	}
	return drivers, group.Wait()
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

// apiServer starts etcd and the API server on it.
func (h *holder) apiServer(ctx context.Context) error {
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

// node starts a node's container runtime, CSI driver and kubelet, and returns the driver. The kubelet waits for the API
// server and for the first images; the runtime loads the others while the kubelet registers its node.
func (h *holder) node(ctx context.Context, n spec.Node, serving <-chan struct{}) (driver *process.Process, err error) {
	containerd, err := h.component(config.ContainerdCommand(n))
	if err != nil {
		return nil, err
	}
	err = containerd.Await(ctx, readyWithin, func(ctx context.Context) error {
		return h.supervisor.Run(ctx, "ctr", "--address", n.Runtime(), "version")
	})
	if err != nil {
		return nil, err
	}
	archives, err := imageArchives(h.Layout)
	if err != nil {
		return nil, err
	}
	if err := h.load(ctx, n, archives[0]); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-serving:
	}
	if driver, err = h.component(config.DriverCommand(h.Cluster, n)); err != nil {
		return nil, err
	}
	if _, err := h.component(config.KubeletCommand(h.Cluster, n)); err != nil {
		return nil, err
	}
	for _, archive := range archives[1:] {
		if err := h.load(ctx, n, archive); err != nil {
			return nil, err
		}
	}
	h.report.step("images of " + n.Name)
	return driver, nil
}

// load gives an archive of images to a node's container runtime.
func (h *holder) load(ctx context.Context, n spec.Node, archive string) error {
	if err := h.supervisor.Run(ctx, "ctr", "--address", n.Runtime(), "--namespace", "k8s.io", "images", "import", archive); err != nil {
		return fmt.Errorf("load images into %s: %w", n.Name, err)
	}
	return nil
}

func (h *holder) startAll(commands []config.Command) error {
	for _, command := range commands {
		if _, err := h.component(command); err != nil {
			return err
		}
	}
	return nil
}

// objects creates the objects that every cluster has, and starts the sidecars after their resources and before the
// classes.
func (h *holder) objects(ctx context.Context) error {
	if err := h.create(ctx, []string{manifest.Core, manifest.S3}, h.CRDs()+"/"); err != nil {
		return err
	}
	if err := h.snapshotResources(ctx); err != nil {
		return err
	}
	if err := h.startAll(config.SidecarCommands(h.Cluster)); err != nil {
		return err
	}
	if err := h.create(ctx, []string{manifest.Classes}); err != nil {
		return err
	}
	h.report.step("storage classes, CSI sidecars")
	return nil
}

// create creates the objects of manifests, and also those of files and folders. The manifests are ours and the cluster
// is empty, so kubectl neither compares them with what is there, nor checks them against a schema that it would first
// have to fetch.
func (h *holder) create(ctx context.Context, manifests []string, paths ...string) error {
	argv := []string{
		h.Program("kubectl"),
		"--kubeconfig",
		h.KubeconfigOf("admin"),
		"--cache-dir",
		h.RunPath("kubectl-cache"),
		"create",
		"--validate=ignore",
	}
	var files []config.File
	for _, name := range manifests {
		text, err := manifest.Render(name, h.Cluster)
		if err != nil {
			return err
		}
		f := config.File{Path: h.RunPath("manifests", name), Text: string(text)}
		files = append(files, f)
		argv = append(argv, "--filename", f.Path)
	}
	if err := config.Write(files); err != nil {
		return err
	}
	for _, path := range paths {
		argv = append(argv, "--filename", path)
	}
	if err := h.supervisor.Run(ctx, argv...); err != nil {
		return fmt.Errorf("create the cluster's objects: %w", err)
	}
	return nil
}
