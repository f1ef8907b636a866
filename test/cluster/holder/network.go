package holder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/stsbackup/stsbackup/test/cluster/process"
	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// makeNetwork makes the pods' bridge, with the nodes' addresses on it. The CNI plugin would make the bridge with the
// first pod, but the API server has to listen on it before that.
func makeNetwork(ctx context.Context, s *process.Supervisor, c spec.Cluster) error {
	var script bytes.Buffer
	fmt.Fprintln(&script, "link set lo up")
	fmt.Fprintf(&script, "link add %s type bridge\n", c.Bridge)
	for _, n := range c.Nodes {
		fmt.Fprintf(&script, "addr add %s/%d dev %s\n", n.Address, c.Pods.Bits(), c.Bridge)
	}
	fmt.Fprintf(&script, "link set %s up\n", c.Bridge)
	// A packet to a Service needs some route before it reaches kube-proxy's rules.
	fmt.Fprintf(&script, "route add %s dev %s\n", c.Services, c.Bridge)
	if err := s.RunInput(ctx, script.Bytes(), "ip", "-batch", "-"); err != nil {
		return fmt.Errorf("make the pods' network: %w", err)
	}
	for _, setting := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/all/route_localnet"} {
		if err := os.WriteFile(setting, []byte("1"), 0o644); err != nil {
			return fmt.Errorf("make the pods' network: %w", err)
		}
	}
	return filterBridged(ctx, s)
}

// filterBridged makes the rules of NetworkPolicies see what one pod sends to another, which does not leave the bridge.
// If the kernel has this feature as a module, perhaps nobody has loaded it yet.
func filterBridged(ctx context.Context, s *process.Supervisor) error {
	const setting = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	if _, err := os.Stat(setting); errors.Is(err, fs.ErrNotExist) {
		if err := s.Run(ctx, "modprobe", "br_netfilter"); err != nil {
			return fmt.Errorf("have packets on the bridge filtered, for which the kernel needs br_netfilter: %w", err)
		}
	}
	if err := os.WriteFile(setting, []byte("1"), 0o644); err != nil {
		return fmt.Errorf("have packets on the bridge filtered: %w", err)
	}
	return nil
}
