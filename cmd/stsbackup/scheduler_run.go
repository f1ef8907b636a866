package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/operations"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/service"
	"github.com/stsbackup/stsbackup/storage/location"
)

// schedulerServe holds the flags of stsbackup scheduler --policies.
type schedulerServe struct {
	policies       string
	repo           repoFlags
	mover          moverFlags
	listen         string
	leaseNamespace string
	limits         scheduler.Limits
	grace          time.Duration
}

func (c *schedulerServe) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&c.policies, "policies", "", "policy `file` to carry out")
	c.repo.addAccess(cmd)
	c.mover.add(cmd)
	flags.Lookup("mover-repo").Usage = "`URL` of the repositories as pods reach them, if it differs from that of the policy file " +
		"($STSBACKUP_MOVER_REPO)"
	flags.StringVar(&c.listen, "listen", ":8080", "`address` to serve /metrics, /healthz and /readyz on")
	flags.StringVar(
		&c.leaseNamespace,
		"lease-namespace",
		"",
		"`namespace` of the Lease that decides which of several schedulers acts (default: that of the pod or kubeconfig)",
	)
	flags.IntVar(&c.limits.Overall, "parallel", 4, "back up at most this `number` of StatefulSets at once")
	flags.IntVar(&c.limits.PerNamespace, "parallel-per-namespace", 2, "back up at most this `number` of StatefulSets of a namespace at once")
	flags.IntVar(&c.limits.Upkeep, "parallel-upkeep", 1, "prune or verify at most this `number` of repositories at once, beside the backups")
	flags.DurationVar(&c.grace, "shutdown-grace", 10*time.Minute,
		"after SIGTERM, let running operations go on for this long, then cancel them; less than the pod's terminationGracePeriodSeconds")
}

func (c *schedulerServe) check() error {
	for flag, number := range map[string]int{
		"parallel": c.limits.Overall, "parallel-per-namespace": c.limits.PerNamespace, "parallel-upkeep": c.limits.Upkeep,
	} {
		if number < 1 {
			return usageErrorf("--%s is %d; give at least 1", flag, number)
		}
	}
	if c.grace < 0 {
		return usageErrorf("--shutdown-grace is %s; give 0 or more, such as 10m", c.grace)
	}
	return c.mover.check()
}

// run serves until ctx has ended and everything that was running has ended too.
func (c *schedulerServe) run(ctx context.Context, a *app, kube kubeFlags) error {
	if err := c.check(); err != nil {
		return err
	}
	// Report errors in the file even without a cluster.
	if _, err := policy.Load(c.policies, location.Check); err != nil {
		return usageErrorf("%w", err)
	}
	client, namespace, err := cluster.Connect(kube.kubeconfig, kube.context)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.listen)
	if err != nil {
		return fmt.Errorf("serve metrics and probes: %w; --listen gives another address", err)
	}
	log := slog.New(slog.NewJSONHandler(a.err, nil))
	klog.SetSlogLogger(log) // the libraries of Kubernetes share one logger
	return policyError(service.Run(ctx, service.Config{
		Policies:       c.policies,
		Kube:           client.Kube,
		Namespace:      kube.namespace,
		LeaseNamespace: cmp.Or(c.leaseNamespace, namespace),
		Listener:       listener,
		Limits:         c.limits,
		Grace:          c.grace,
		Nothing:        backup.Nothing,
		Operations:     func(repository string) (scheduler.Operations, error) { return c.operations(a, kube, repository) },
		Version:        a.version,
		Log:            log,
		Now:            a.now,
		Random:         a.random,
	}))
}

// operations prepares for work in the repositories below a root.
func (c *schedulerServe) operations(a *app, kube kubeFlags, repository string) (scheduler.Operations, error) {
	repo := c.repo
	repo.url = repository
	config, err := operationsConfig(a, kube, repo, c.mover)
	if err != nil {
		return nil, err
	}
	return operations.New(config), nil
}

// policyError turns an error in the file into a usage error.
func policyError(err error) error {
	var wrong *policy.Error
	if errors.As(err, &wrong) {
		return usageErrorf("%w", err)
	}
	return err
}
