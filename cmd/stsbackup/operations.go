package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/resources"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// operations is what the scheduler has done: what the commands do, by the same functions.
//
// A scheduler lives for months, so nothing that can change is kept: the password, the credentials and the certificates
// are read anew for each operation, from files and the environment as the commands do it. What is kept is the way to the
// cluster, whose own token is read anew by the library.
type operations struct {
	app    *app
	repo   repoFlags
	mover  moverFlags
	client *cluster.Client
	log    *slog.Logger
	// namespace is the only one that is looked after; empty for all.
	namespace string
	// busyAfter is how long to wait for those who work on a repository and are not known to the cluster. The scheduler
	// comes back later anyway.
	busyAfter time.Duration
	// opening bounds how many repositories are opened at once: deriving a key from a password takes 32 MiB.
	opening chan struct{}
}

// newOperations prepares for repositories below the root that repo names, of StatefulSets of the cluster that kube
// names. It speaks to neither yet, but what is wrong with the flags, the password and the place of the bucket is told.
func newOperations(a *app, kube kubeFlags, repo repoFlags, mover moverFlags) (scheduler.Operations, error) {
	store, err := openStore(a, &repo)
	if err != nil {
		return nil, err
	}
	if _, err := mover.location(a, store.URL()); err != nil {
		return nil, err
	}
	if _, err := resources.Requirements(mover.requests, mover.limits); err != nil {
		return nil, usageErrorf("%w", err)
	}
	client, _, err := cluster.Connect(kube.kubeconfig, kube.context)
	if err != nil {
		return nil, err
	}
	return &operations{
		app: a, repo: repo, mover: mover, client: client, namespace: kube.namespace,
		log: slog.New(slog.NewJSONHandler(a.err, nil)), opening: make(chan struct{}, 2), busyAfter: 30 * time.Second,
	}, nil
}

// target is the name as the commands know it.
func (o *operations) target(of scheduler.Name) target {
	return target{namespace: of.Namespace, statefulSet: of.StatefulSet}
}

// points opens the catalog of a StatefulSet, with the password and the credentials of now.
func (o *operations) points(ctx context.Context, of scheduler.Name) (*catalog.Catalog, error) {
	store, err := openStore(o.app, &o.repo)
	if err != nil {
		return nil, err
	}
	select {
	case o.opening <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-o.opening }()
	return store.Open(ctx, o.target(of).name())
}

// Points implements scheduler.Operations. What cannot be read is told in the log: it counts as not made.
func (o *operations) Points(ctx context.Context, of scheduler.Name) ([]scheduler.Point, error) {
	catalog, err := o.points(ctx, of)
	if errors.Is(err, repository.ErrNoRepository) {
		return nil, nil
	}
	if err != nil {
		return nil, translate(err)
	}
	records, err := catalog.List(ctx)
	if err != nil && (len(records) == 0 || ctx.Err() != nil) {
		return nil, translate(err)
	}
	if err != nil {
		o.log.Warn("some recovery points cannot be read", "namespace", of.Namespace, "statefulSet", of.StatefulSet, "error", message(ctx, err))
	}
	points := make([]scheduler.Point, 0, len(records))
	for _, record := range records {
		points = append(points, pointOf(record))
	}
	return points, nil
}

// pointOf is a record as the scheduler sees it.
func pointOf(record catalog.Record) scheduler.Point {
	return scheduler.Point{ID: record.ID, Started: record.Started, Finished: record.Finished, Complete: record.State == catalog.StateComplete}
}

// Backup implements scheduler.Operations.
func (o *operations) Backup(ctx context.Context, of scheduler.Name, options policy.Backup) (scheduler.Result, error) {
	reporter := &phaseReporter{
		now:    o.app.now,
		log:    o.log.With("namespace", of.Namespace, "statefulSet", of.StatefulSet),
		phases: map[string]time.Duration{},
	}
	record, err := o.backUp(ctx, of, options, reporter)
	reporter.end()
	return resultOf(record, reporter.phases), translate(err)
}

// resultOf is what a backup has done; record is nil if there is no recovery point.
func resultOf(record *catalog.Record, phases map[string]time.Duration) scheduler.Result {
	result := scheduler.Result{Phases: phases}
	if record == nil {
		return result
	}
	result.Point = pointOf(*record)
	for _, volume := range record.Volumes {
		result.BytesRead, result.BytesStored = result.BytesRead+volume.Bytes, result.BytesStored+volume.Stored
	}
	return result
}

func (o *operations) backUp(
	ctx context.Context,
	of scheduler.Name,
	options policy.Backup,
	reporter backup.Reporter,
) (*catalog.Record, error) {
	store, err := openStore(o.app, &o.repo)
	if err != nil {
		return nil, err
	}
	at := scene{target: o.target(of), store: store, client: o.client}
	request, err := o.request(ctx, at, options)
	if err != nil {
		return nil, err
	}
	return makeRecoveryPoint(ctx, o.app, at, reporter, request)
}

// request is what a policy asks for: it goes before the flags.
func (o *operations) request(ctx context.Context, at scene, options policy.Backup) (backup.Request, error) {
	flags := o.mover
	flags.requests, flags.limits = flags.requests.With(options.Requests), flags.limits.With(options.Limits)
	flags.env = flags.env.with(options.Env)
	mover, err := flags.config(ctx, o.app, at.store, at.target)
	if err != nil {
		return backup.Request{}, err
	}
	return backup.Request{
		Plan:            backup.PlanOptions{Method: backup.Method(options.Method)},
		Parallel:        options.Parallel,
		RetryLock:       retryLock,
		Mover:           mover,
		SnapshotTimeout: defaultSnapshotTimeout, SnapshotReadyTimeout: defaultReadyTimeout,
		StepsAside: true, // for a person who restores
	}, nil
}

// Forget implements scheduler.Operations.
func (o *operations) Forget(ctx context.Context, of scheduler.Name, rules retention.Rules, zone *time.Location) (removed int, err error) {
	store, err := openStore(o.app, &o.repo)
	if err != nil {
		return 0, err
	}
	upkeep, err := o.upkeep(ctx, of, "forget")
	if err != nil {
		return 0, err
	}
	result, err := upkeep.keep(ctx, store, o.target(of), false, func(points []retention.Point) []retention.Decision {
		return retention.Decide(points, rules, o.app.now(), zone)
	})
	if errors.Is(err, repository.ErrNoRepository) {
		err = nil
	}
	return len(result.Forgotten), translate(err)
}

// Prune implements scheduler.Operations.
func (o *operations) Prune(ctx context.Context, of scheduler.Name) error {
	store, err := openStore(o.app, &o.repo)
	if err != nil {
		return err
	}
	upkeep, err := o.upkeep(ctx, of, "prune")
	if err != nil {
		return err
	}
	_, err = upkeep.prune(ctx, store, o.target(of), false)
	if errors.Is(err, repository.ErrNoRepository) {
		return nil
	}
	return translate(err)
}

// Verify implements scheduler.Operations.
func (o *operations) Verify(ctx context.Context, of scheduler.Name, readData float64) error {
	store, err := openStore(o.app, &o.repo)
	if err != nil {
		return err
	}
	result, err := verify(ctx, store, o.target(of), repository.CheckOptions{ReadData: readData})
	switch {
	case errors.Is(err, repository.ErrNoRepository):
		return nil
	case result != nil && result.OnlyLocks(): // which hits no recovery point, and goes away by itself
		o.log.Warn("a damaged lock", "namespace", of.Namespace, "statefulSet", of.StatefulSet, "error", err.Error())
		return nil
	case result != nil && err != nil: // there is a verdict, and it is bad
		return fmt.Errorf("%w: %w", scheduler.ErrDamaged, err)
	}
	return translate(err)
}

// upkeep is that of the scheduler. What removes data has the Lease of the StatefulSet while nobody may work beside it:
// then no backup of this cluster can meet it, and if this process is killed, the next to have the Lease knows what to
// make of the lock that it has left.
func (o *operations) upkeep(ctx context.Context, of scheduler.Name, kind string) (*upkeep, error) {
	id, err := catalog.NewID(o.app.now(), o.app.random)
	if err != nil {
		return nil, err
	}
	uid, err := o.client.UID(ctx)
	if err != nil {
		return nil, err
	}
	op := cluster.Operation{ID: id, Kind: kind, Namespace: of.Namespace, StatefulSet: of.StatefulSet}
	return &upkeep{
		connect:   func() (*cluster.Client, error) { return o.client, nil },
		note:      func(text string) { note(o.log.With("namespace", of.Namespace, "statefulSet", of.StatefulSet), text) },
		retryLock: o.busyAfter,
		operation: op.LeaseMark(uid),
		guard: func(ctx context.Context, points *catalog.Catalog, do func(context.Context) error) error {
			return o.withLease(ctx, op, uid, points, do)
		},
	}, nil
}

// withLease does what is brief while we have the Lease of the StatefulSet.
func (o *operations) withLease(
	ctx context.Context,
	op cluster.Operation,
	uid string,
	points *catalog.Catalog,
	do func(context.Context) error,
) error {
	records, err := points.List(ctx)
	if err != nil && len(records) == 0 {
		return err
	}
	if err := catalog.CheckCluster(records, uid); err != nil {
		return &cluster.Refusal{
			Object: op.Object(),
			Reason: err.Error(),
			Next:   "give each cluster a repository root of its own; nothing was removed",
		}
	}
	lease, err := o.client.Acquire(ctx, op, cluster.LeaseOptions{Holder: fmt.Sprintf("%s by %s", op, holder(o.app)), Brief: true})
	if err != nil {
		return err
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), askClusterWithin)
		defer cancel()
		if left := lease.Release(clean); left != nil { // no failure of what was done
			note(o.log.With("namespace", op.Namespace, "statefulSet", op.StatefulSet), "warning: "+left.Error()+"; it expires by itself")
		}
	}()
	// The repository does not know of the Lease: nothing is done to it while another may have that.
	alone, cancel, err := cluster.Assured(lease.Context())
	if err != nil {
		return err
	}
	defer cancel()
	_, err = points.Unlock(alone, func(h repository.Holder) bool {
		return cluster.LeaseMarked(uid, h.Operation) && h.Operation != op.LeaseMark(uid)
	})
	if err == nil {
		err = do(alone)
	}
	if lost := context.Cause(alone); err != nil && errors.Is(lost, cluster.ErrLeaseLost) {
		return fmt.Errorf("%w (%w)", lost, err)
	}
	return err
}

// translate gives an error the meaning that it has for the scheduler.
func translate(err error) error {
	var refusal *cluster.Refusal
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cluster.ErrBusy), errors.Is(err, repository.ErrLocked):
		return fmt.Errorf("%w: %w", scheduler.ErrBusy, err)
	case errors.Is(err, cluster.ErrNotFound):
		return fmt.Errorf("%w: %w", scheduler.ErrGone, err)
	case errors.As(err, &refusal):
		return fmt.Errorf("%w: %w", scheduler.ErrRefused, err)
	case errors.Is(err, storage.ErrUnreachable), errors.Is(err, storage.ErrCredentials), errors.Is(err, storage.ErrNoBucket):
		return fmt.Errorf("%w: %w", scheduler.ErrBucket, err)
	case errors.Is(err, repository.ErrWrongPassword):
		return fmt.Errorf("%w: %w", scheduler.ErrPassword, err)
	default:
		return err
	}
}

// phaseReporter measures the phases of a backup, and logs what a person would be told.
type phaseReporter struct {
	backup.Silent
	now    func() time.Time
	log    *slog.Logger
	phases map[string]time.Duration
	phase  string
	since  time.Time
}

// Phase ends the phase before.
func (r *phaseReporter) Phase(phase backup.Phase) {
	r.end()
	r.phase, r.since = string(phase), r.now()
}

// end ends the last phase.
func (r *phaseReporter) end() {
	if r.phase != "" {
		r.phases[r.phase] += r.now().Sub(r.since)
	}
	r.phase = ""
}

// Note logs the message.
func (r *phaseReporter) Note(message string) { note(r.log, message) }

// note logs what a person would be told.
func note(log *slog.Logger, message string) {
	if text, isWarning := strings.CutPrefix(message, "warning: "); isWarning {
		log.Warn(text)
		return
	}
	log.Info(message)
}
