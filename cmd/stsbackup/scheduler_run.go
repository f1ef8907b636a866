package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/leader"
	"github.com/stsbackup/stsbackup/scheduler/metrics"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/watch"
	"github.com/stsbackup/stsbackup/storage/location"
)

// namespacesWithin bounds the wait for the labels of namespaces, when new policies ask for them.
const namespacesWithin = 30 * time.Second

// schedulerServe holds the flags of stsbackup scheduler --policies.
type schedulerServe struct {
	policies       string
	repo           repoFlags
	mover          moverFlags
	listen         string
	leaseNamespace string
	limits         scheduler.Limits
	grace          time.Duration
	// operations makes what does the work.
	operations func(a *app, kube kubeFlags, repo repoFlags, mover moverFlags) (scheduler.Operations, error)
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

// run is the whole life of a scheduler: it ends when ctx has ended and what was running has ended too, or when something
// fails without which it makes no sense.
func (c *schedulerServe) run(ctx context.Context, a *app, kube kubeFlags) error {
	if err := c.check(); err != nil {
		return err
	}
	// What is wrong with the file is said even if there is no cluster.
	if _, err := policy.Load(c.policies, location.Check); err != nil {
		return policyError(err)
	}
	client, namespace, err := cluster.Connect(kube.kubeconfig, kube.context)
	if err != nil {
		return err
	}
	if c.leaseNamespace != "" {
		namespace = c.leaseNamespace
	}
	identity, err := newIdentity(a)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.listen)
	if err != nil {
		return fmt.Errorf("serve metrics and probes: %w; --listen gives another address", err)
	}
	defer listener.Close()
	log := slog.New(slog.NewJSONHandler(a.err, nil))
	klog.SetSlogLogger(log) // the libraries of Kubernetes have one logger for all
	// What the leader needs to end in order outlives ctx, and ends with work.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	s := &service{
		serve: c, app: a, kubeFlags: kube, kube: client.Kube, log: log,
		election: leader.Election{Kube: client.Kube, Namespace: namespace, Identity: identity, Log: log},
	}
	return s.run(ctx, work, stop, listener)
}

// newIdentity is who this process is to other schedulers. The name of the machine is that of the pod.
func newIdentity(a *app) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	random := make([]byte, 4)
	if _, err := io.ReadFull(a.random, random); err != nil {
		return "", fmt.Errorf("choose a name for this scheduler: %w", err)
	}
	return host + "_" + hex.EncodeToString(random), nil
}

// service is a scheduler and all that it needs.
type service struct {
	serve     *schedulerServe
	app       *app
	kubeFlags kubeFlags
	kube      kubernetes.Interface
	log       *slog.Logger
	election  leader.Election
	watch     *watch.Watch
	policies  *scheduler.Policies
	scheduler *scheduler.Scheduler
}

func (s *service) run(ctx, work context.Context, stop context.CancelFunc, listener net.Listener) error {
	// 1. Know the policies and the cluster.
	events := watch.NewEvents(work, s.kube, s.election.Namespace, leader.LeaseName)
	defer events.Stop()
	var err error
	if s.watch, err = watch.New(s.kube, s.kubeFlags.namespace, backup.Nothing); err != nil {
		return err
	}
	defer func() {
		stop()
		s.watch.Stop()
	}()
	s.watch.Start(work)
	s.policies = &scheduler.Policies{
		Path:     s.serve.policies,
		Check:    location.Check,
		Rejected: events.PoliciesRejected,
		Log:      s.log,
		Now:      s.app.now,
		Changes:  make(chan struct{}, 1),
		Accept: func(ctx context.Context, file *policy.File) (scheduler.Operations, error) {
			return s.accept(ctx, work, file)
		},
	}
	if err := s.policies.Load(ctx); err != nil {
		return policyError(err)
	}
	s.scheduler = &scheduler.Scheduler{
		Cluster: s.watch, Policies: s.policies, Limits: s.serve.limits, Grace: s.serve.grace, Now: s.app.now, Log: s.log, Events: events,
	}
	// 2. Show how things are, follow the policies, and compete for the work.
	group, work := errgroup.WithContext(work)
	group.Go(func() error { return metrics.Serve(work, listener, metrics.Handler(s.source())) })
	group.Go(func() error {
		s.policies.Follow(work)
		return nil
	})
	group.Go(func() error {
		defer stop() // 3. The others end with it.
		return s.lead(ctx, work)
	})
	s.log.Info(
		"scheduler started",
		"version",
		s.app.version,
		"identity",
		s.election.Identity,
		"policies",
		s.serve.policies,
		"listen",
		listener.Addr().String(),
	)
	err = group.Wait()
	if err == nil {
		s.log.Info("scheduler stopped")
	}
	return err
}

// lead competes and leads until ctx has ended.
func (s *service) lead(ctx, work context.Context) error {
	// Whatever ends the others ends this too.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(work, cancel)()
	if err := s.watch.Await(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return s.election.Run(ctx, func(term context.Context) { s.scheduler.Lead(term, ctx.Done()) })
}

// accept prepares for what a policy file asks for.
func (s *service) accept(ctx, work context.Context, file *policy.File) (scheduler.Operations, error) {
	if file.NeedsNamespaceLabels() {
		ctx, cancel := context.WithTimeout(ctx, namespacesWithin)
		defer cancel()
		if err := s.watch.NeedNamespaces(ctx, s.kube); err != nil {
			return nil, err
		}
		s.watch.Start(work)
		if err := s.watch.Await(ctx); err != nil {
			return nil, err
		}
	}
	repo := s.serve.repo
	repo.url = file.Repository
	return s.serve.operations(s.app, s.kubeFlags, repo, s.serve.mover)
}

// source is what metrics and probes show.
func (s *service) source() metrics.Source {
	return metrics.Source{
		Status: s.scheduler.Status, Policies: s.policies.State, Synced: s.watch.Synced, Problem: s.watch.Failure, Now: s.app.now,
	}
}

// policyError makes a file that is wrong a wrong use of the command.
func policyError(err error) error {
	var wrong *policy.Error
	if errors.As(err, &wrong) || errors.Is(err, os.ErrNotExist) {
		return usageErrorf("%w", err)
	}
	return err
}
