package holder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/test/cluster/config"
	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// imageArchives lists the archives of images. The one with the pause image comes first: no pod starts without it.
func imageArchives(l spec.Layout) ([]string, error) {
	archives, err := filepath.Glob(filepath.Join(l.Images(), "*.tar"))
	if err == nil && len(archives) == 0 {
		err = errors.New("no image archives in " + l.Images())
	}
	slices.Sort(archives)
	return archives, err
}

// answers returns a check that an HTTP server answers 200, or anything below 500.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("%s: %s", url, response.Status)
		}
		return nil
	}
}

// snapshotResources waits until the API server serves the resources of VolumeSnapshots and their groups.
func (h *holder) snapshotResources(ctx context.Context) error {
	return h.await(ctx, config.APIServer, func(ctx context.Context) error {
		return errors.Join(
			h.api.resources(ctx, "snapshot.storage.k8s.io/v1", "volumesnapshots", "volumesnapshotcontents", "volumesnapshotclasses"),
			h.api.resources(
				ctx,
				"groupsnapshot.storage.k8s.io/v1",
				"volumegroupsnapshots",
				"volumegroupsnapshotcontents",
				"volumegroupsnapshotclasses",
			),
		)
	})
}

// proven waits until everything has been seen to work: pods get an account, nodes are Ready, volumes have their driver,
// a Service's name resolves, S3 answers behind it and NetworkPolicies have their rules.
func (h *holder) proven(ctx context.Context) error {
	checks := []struct {
		component, what string
		check           func(context.Context) error
	}{
		{config.KubeProxy, "Services", answers("http://127.0.0.1:10256/healthz")},
		{config.ControllerManager, "controllers", func(ctx context.Context) error {
			return errors.Join(
				h.api.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil),
				h.api.get(ctx, "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", nil),
			)
		}},
		{config.CoreDNS, "DNS", h.resolves},
		{h.ControlPlane().Component(config.Kubelet), "S3", answers(fmt.Sprintf("http://%s:%d/", h.S3Address, h.S3.Port))},
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range checks {
		group.Go(func() error {
			if err := h.await(ctx, c.component, c.check); err != nil {
				return err
			}
			h.report.step(c.what)
			return nil
		})
	}
	group.Go(func() error { return h.policies(ctx) })
	for _, n := range h.Nodes {
		group.Go(func() error {
			return h.await(ctx, n.Component(config.Kubelet), func(ctx context.Context) error { return h.api.nodeReady(ctx, n.Name) })
		})
		group.Go(func() error {
			return h.await(ctx, n.Component(config.Driver), func(ctx context.Context) error {
				return h.api.driverRegistered(ctx, n.Name, h.Driver)
			})
		})
	}
	return group.Wait()
}

// policies starts the component that enforces NetworkPolicies, which needs its node. It waits until the component has
// written its first rules: those for S3's pod. From then on the component rewrites them whenever a pod or a policy
// changes.
func (h *holder) policies(ctx context.Context) error {
	node := h.ControlPlane()
	err := h.await(ctx, node.Component(config.Kubelet), func(ctx context.Context) error { return h.api.nodeReady(ctx, node.Name) })
	if err != nil {
		return err
	}
	router, err := h.component(config.KubeRouterCommand(h.Cluster))
	if err != nil {
		return err
	}
	err = router.Await(ctx, readyWithin, func(ctx context.Context) error {
		return h.supervisor.Run(ctx, "sh", "-c", "iptables --wait --list-rules KUBE-ROUTER-FORWARD | grep 'namespace: s3 '")
	})
	if err != nil {
		return err
	}
	h.report.step("NetworkPolicies")
	return nil
}

// resolves asks the name server, through its Service, for the Service of S3.
func (h *holder) resolves(ctx context.Context) error {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		dialer := net.Dialer{Timeout: time.Second}
		return dialer.DialContext(ctx, network, net.JoinHostPort(h.DNS.String(), "53"))
	}}
	addresses, err := resolver.LookupHost(ctx, "s3.s3.svc.cluster.local.")
	if err != nil {
		return err
	}
	if !slices.Contains(addresses, h.S3Address.String()) {
		return fmt.Errorf("s3.s3.svc.cluster.local resolves to %v, not to %s", addresses, h.S3Address)
	}
	return nil
}

// await waits for a check of a component: the failure names the component and shows its log.
func (h *holder) await(ctx context.Context, component string, check func(context.Context) error) error {
	p := h.supervisor.Find(component)
	if p == nil {
		return fmt.Errorf("%s was never started", component)
	}
	return p.Await(ctx, readyWithin, check)
}
