package service

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/leader"
	"github.com/stsbackup/stsbackup/scheduler/metrics"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/watch"
	"github.com/stsbackup/stsbackup/storage/location"
)

// namespacesWithin bounds the wait for the labels of namespaces, if new policies ask for them.
const namespacesWithin = 30 * time.Second

// Config says what a scheduler should do, and where. All fields except Namespace must be set.
type Config struct {
	// Policies is the path of the policy file.
	Policies string
	// Kube is the cluster, and Namespace the only namespace whose StatefulSets the scheduler looks after; empty for
	// all.
	Kube      kubernetes.Interface
	Namespace string
	// LeaseNamespace is the namespace of the Lease that chooses one of several schedulers.
	LeaseNamespace string
	// Listener is where Run serves metrics and probes. Run closes it.
	Listener net.Listener
	Limits   scheduler.Limits
	// Grace is how long running operations may go on after the context has ended.
	Grace time.Duration
	// Nothing says why a StatefulSet has nothing to back up, "" if it has something.
	Nothing func(*appsv1.StatefulSet) string
	// Operations makes the Operations for the repositories below the root with this URL.
	Operations func(repository string) (scheduler.Operations, error)
	// Version is the version of the program, for the log.
	Version string
	Log     *slog.Logger
	Now     func() time.Time
	Random  io.Reader
}

// Run is the whole life of a scheduler. It ends when ctx has ended and everything that was running has ended too, or
// when something fails that it cannot do without. If the policy file is wrong, the error is a *policy.Error.
func Run(ctx context.Context, config Config) error {
	defer config.Listener.Close()
	s, err := newService(config)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// service is a scheduler and everything that it needs.
type service struct {
	Config
	election  leader.Election
	watch     *watch.Watch
	policies  *scheduler.Policies
	scheduler *scheduler.Scheduler
}

func newService(config Config) (*service, error) {
	identity, err := newIdentity(config.Random)
	if err != nil {
		return nil, err
	}
	return &service{
		Config:   config,
		election: leader.Election{Kube: config.Kube, Namespace: config.LeaseNamespace, Identity: identity, Log: config.Log},
	}, nil
}

// newIdentity is the name of this process for other schedulers. It contains the host name, which is the name of the
// pod.
func newIdentity(random io.Reader) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	suffix := make([]byte, 4)
	if _, err := io.ReadFull(random, suffix); err != nil {
		return "", fmt.Errorf("choose a name for this scheduler: %w", err)
	}
	return host + "_" + hex.EncodeToString(suffix), nil
}

func (s *service) run(ctx context.Context) error {
	// What the leader needs to end in order outlives ctx, and ends with work.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	// 1. Know the policies and the cluster.
	events := watch.NewEvents(work, s.Kube, s.election.Namespace, leader.LeaseName)
	defer events.Stop()
	var err error
	if s.watch, err = watch.New(s.Kube, s.Namespace, s.Nothing); err != nil {
		return err
	}
	defer func() {
		stop()
		s.watch.Stop()
	}()
	s.watch.Start(work)
	s.policies = &scheduler.Policies{
		Path:     s.Policies,
		Check:    location.Check,
		Rejected: events.PoliciesRejected,
		Log:      s.Log,
		Now:      s.Now,
		Changes:  make(chan struct{}, 1),
		Accept: func(ctx context.Context, file *policy.File) (scheduler.Operations, error) {
			return s.accept(ctx, work, file)
		},
	}
	if err := s.policies.Load(ctx); err != nil {
		return err
	}
	s.scheduler = &scheduler.Scheduler{
		Cluster: s.watch, Policies: s.policies, Limits: s.Limits, Grace: s.Grace, Now: s.Now, Log: s.Log, Events: events,
	}
	// 2. Show the state, follow the policies, and compete for the work.
	group, work := errgroup.WithContext(work)
	group.Go(func() error { return metrics.Serve(work, s.Listener, metrics.Handler(s.source())) })
	group.Go(func() error {
		s.policies.Follow(work)
		return nil
	})
	group.Go(func() error {
		defer stop() // 3. The others end with it.
		return s.lead(ctx, work)
	})
	s.Log.Info("scheduler started", "version", s.Version, "identity", s.election.Identity, "policies", s.Policies,
		"listen", s.Listener.Addr().String())
	err = group.Wait()
	if err == nil {
		s.Log.Info("scheduler stopped")
	}
	return err
}

// lead competes and leads until ctx has ended.
func (s *service) lead(ctx, work context.Context) error {
	// The end of the others ends this too.
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
		if err := s.watch.NeedNamespaces(ctx, s.Kube); err != nil {
			return nil, err
		}
		s.watch.Start(work)
		if err := s.watch.Await(ctx); err != nil {
			return nil, err
		}
	}
	return s.Operations(file.Repository)
}

// source is what metrics and probes show.
func (s *service) source() metrics.Source {
	return metrics.Source{
		Status: s.scheduler.Status, Policies: s.policies.State, Synced: s.watch.Synced, Problem: s.watch.Failure, Now: s.Now,
	}
}
