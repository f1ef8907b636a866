package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/compress"
)

const (
	// cleanupWithin bounds the cleanup at the end, which also runs when the operation was interrupted.
	cleanupWithin = 2 * time.Minute
	// requestsWithin bounds the requests around a wait that has its own limit.
	requestsWithin = 30 * time.Second
	// lookWithin bounds the check whether the StatefulSet still exists.
	lookWithin = 10 * time.Second
)

// Repository is what a backup needs from the StatefulSet's catalog; catalog.Catalog is one.
type Repository interface {
	// List returns the records of all recovery points that can be read; the error names those that cannot.
	List(ctx context.Context) ([]catalog.Record, error)
	// Commit writes the record, and thereby makes the recovery point.
	Commit(ctx context.Context, record catalog.Record, manifests map[string][]byte) error
	// SetOperation sets what our locks say about their holder.
	SetOperation(operation string)
	// Unlock removes the locks of holders for which gone is true, and returns these holders.
	Unlock(ctx context.Context, gone func(repository.Holder) bool) ([]repository.Holder, error)
}

// Repositories opens the repository of the StatefulSet to back up.
type Repositories interface {
	// Open opens the repository. The error wraps repository.ErrNoRepository if there is none.
	Open(ctx context.Context) (Repository, error)
	// OpenOrCreate opens the repository, and creates it if there is none.
	OpenOrCreate(ctx context.Context) (Repository, error)
}

// Request says what a backup is to do.
type Request struct {
	Namespace, StatefulSet string
	// Capture says how to capture volumes.
	Capture capture.Options
	// AdoptCluster accepts a repository whose newest recovery point came from another cluster.
	AdoptCluster bool
	// DryRun ends the backup after the preflight.
	DryRun bool
	// Holder tells other people who is at work here: a user, host and process.
	Holder string
	// Tool is the version of stsbackup, for the record.
	Tool string
	// Mover is what movers need to run and to open the repository.
	Mover cluster.MoverConfig
	// Parallel is how many volumes to move at once. Less than 2 means in turn: then each ordinal deduplicates
	// against those before it.
	Parallel int
	// RetryLock is how long a mover waits while somebody removes data from the repository.
	RetryLock time.Duration
	// Compression is how movers compress what they store.
	Compression compress.Level
	// SnapshotTimeout is how long a driver may take to take a cut, or keep reporting errors, before the backup
	// gives up on the volume.
	SnapshotTimeout time.Duration
	// SnapshotReadyTimeout is how long the storage may take, after a cut, until claims can be made from it.
	SnapshotReadyTimeout time.Duration
	// StepsAside says that the backup ends when somebody else waits to work on the StatefulSet (cluster.ErrSteppedAside).
	StepsAside bool
}

// Engine makes recovery points.
type Engine struct {
	Cluster      *cluster.Client
	Repositories Repositories
	Saver        Saver
	Now          func() time.Time
	// Random is the source of ids.
	Random   io.Reader
	Reporter report.Reporter
	// Planned is told what the backup will do, once, before anything is done; it may be nil.
	Planned func(*Plan)
}

// Run makes one recovery point and returns its record. A record with the state catalog.StateIncomplete is no
// error: some volumes could be saved. An error always means that there is no recovery point. It wraps
// *cluster.Refusal, one for each reason why the backup was refused before anything was changed, and
// cluster.ErrNotFound if the StatefulSet does not exist. After a dry run the record is nil.
func (e *Engine) Run(ctx context.Context, request Request) (record *catalog.Record, err error) {
	// 1. Plan.
	e.Reporter.Phase(PhasePlan)
	plan, err := e.plan(ctx, request)
	if err != nil {
		return nil, err
	}
	run, err := e.begin(request)
	if err != nil {
		return nil, err
	}
	if err := run.foresee(ctx, plan); err != nil {
		return nil, e.orGone(ctx, request, err)
	}
	if e.Planned != nil {
		e.Planned(plan)
	}

	// 2. Preflight.
	if err := e.preflight(ctx, plan, request); err != nil || request.DryRun {
		return nil, err
	}

	// 3. Lease.
	lease, err := e.Cluster.Acquire(ctx, run.op, cluster.LeaseOptions{
		Holder:  fmt.Sprintf("%s by %s", run.op, request.Holder),
		Waiting: run.Reporter.Note, // it may also be called while volumes are moved
		// A scheduler can back up later.
		StepsAside: request.StepsAside,
	})
	if err != nil {
		return nil, err
	}
	defer run.end(ctx, lease)
	client := *e.Cluster
	client.Waiting = run.Reporter.Note // says what VolumeSnapshots and quotas we wait for
	run.Cluster = &client
	record, err = run.steps(lease.Context())
	if err == nil {
		return record, nil
	}
	// The cause of any failure, even of a lost Lease, may be that the StatefulSet was deleted meanwhile.
	if gone := e.gone(ctx, request); gone != nil {
		return nil, fmt.Errorf("back up %s: %w (%w)", run.op.Object(), gone, err)
	}
	if aside := lease.SteppedAside(); aside != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("back up %s: %w", run.op.Object(), aside)
	}
	if lost := lease.Lost(); lost != nil {
		return nil, fmt.Errorf("back up %s: %w; run the command again", run.op.Object(), lost)
	}
	return nil, err
}

// plan reads what exists and decides what to do.
func (e *Engine) plan(ctx context.Context, request Request) (*Plan, error) {
	// While a restore runs, or after it was killed, there is nothing to plan.
	if _, err := e.Cluster.Held(ctx, request.Namespace, request.StatefulSet); err != nil {
		return nil, err
	}
	inventory, err := ReadInventory(ctx, e.Cluster, request.Namespace, request.StatefulSet)
	if err != nil {
		return nil, err
	}
	plan := NewPlan(inventory, request.Capture)
	if err := plan.Err(); err != nil {
		// When somebody deletes a StatefulSet, its pods and claims are deleted first; advice to repair these would be wrong.
		return nil, e.orGone(ctx, request, err)
	}
	return plan, nil
}

// orGone returns err, or that the StatefulSet is gone or being deleted: nothing can be created in a namespace
// that is being deleted, and advice on how to have it admitted would be wrong.
func (e *Engine) orGone(ctx context.Context, request Request, err error) error {
	if gone := e.gone(ctx, request); gone != nil {
		return gone
	}
	return err
}

// gone says, as an error, that the StatefulSet no longer exists.
func (e *Engine) gone(ctx context.Context, request Request) error {
	if ctx.Err() != nil {
		return nil
	}
	look, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	return e.Cluster.Gone(look, request.Namespace, request.StatefulSet)
}

// preflight checks, without changing it, that the repository can take this backup.
func (e *Engine) preflight(ctx context.Context, plan *Plan, request Request) error {
	existing, err := e.Repositories.Open(ctx)
	if errors.Is(err, repository.ErrNoRepository) {
		return nil
	}
	if err != nil {
		return err
	}
	records, err := existing.List(ctx)
	if err != nil && len(records) == 0 {
		return fmt.Errorf("list recovery points: %w", err)
	}
	if err != nil {
		e.Reporter.Warn("some recovery points cannot be read: " + err.Error())
	}
	err = catalog.CheckCluster(records, plan.Cluster)
	if errors.Is(err, catalog.ErrOtherCluster) && !request.AdoptCluster {
		return &cluster.Refusal{
			Object: cluster.Key{Namespace: plan.Namespace, Name: plan.StatefulSet}.Object(),
			Reason: err.Error(),
			Next:   "use another --repo for this cluster, or take the repository over with --adopt-cluster if the other one is gone",
		}
	}
	if err != nil && !errors.Is(err, catalog.ErrOtherCluster) {
		return err
	}
	return nil
}

// run is one backup under way.
type run struct {
	Engine
	request   Request
	op        cluster.Operation
	inventory *Inventory
	plan      *Plan
	started   time.Time
	volumes   []*volumeRun
	repo      Repository // nil until it is open
	// swept is what dead operations have left, and which of it does not go.
	swept    cluster.Swept
	capturer *capture.Capturer // nil until the volumes are captured
	// faults judges failures of volumes that are moved.
	faults faults
}

// volumeRun is one volume of a run.
type volumeRun struct {
	Volume
	saved catalog.Volume
	// captured is the volume's capture; nil until it is captured.
	captured *capture.Captured
}

// begin gives the operation its id.
func (e *Engine) begin(request Request) (*run, error) {
	started := e.Now().UTC()
	id, err := catalog.NewID(started, e.Random)
	if err != nil {
		return nil, err
	}
	engine := *e
	engine.Reporter = report.NewSerial(e.Reporter)
	return &run{
		Engine: engine, request: request, started: started,
		op: cluster.Operation{ID: string(id), Kind: "backup", Namespace: request.Namespace, StatefulSet: request.StatefulSet},
	}, nil
}

// replan plans again: another operation, perhaps a restore, may have ended between the first plan and the Lease.
func (r *run) replan(ctx context.Context) error {
	note, err := r.Cluster.Held(ctx, r.op.Namespace, r.op.StatefulSet)
	if err != nil {
		return err
	}
	if note != "" {
		r.Reporter.Warn(note)
	}
	if r.inventory, err = ReadInventory(ctx, r.Cluster, r.op.Namespace, r.op.StatefulSet); err != nil {
		return err
	}
	r.plan = NewPlan(r.inventory, r.request.Capture)
	if err := r.plan.Err(); err != nil {
		return err
	}
	r.takeVolumes()
	return nil
}

// takeVolumes starts with the volumes of the plan.
func (r *run) takeVolumes() {
	r.volumes = nil
	for _, volume := range r.plan.Volumes {
		r.volumes = append(r.volumes, &volumeRun{Volume: volume, saved: recordVolume(volume)})
	}
}

// steps does what is done under the Lease.
func (r *run) steps(ctx context.Context) (*catalog.Record, error) {
	if err := r.replan(ctx); err != nil {
		return nil, err
	}
	// 4. Sweep.
	if err := r.sweep(ctx); err != nil {
		return nil, err
	}
	if err := r.admitted(ctx); err != nil {
		return nil, err
	}
	r.takeVolumes()
	repo, err := r.Repositories.OpenOrCreate(ctx)
	if err != nil {
		return nil, err
	}
	r.repo = repo
	// If we cannot remove the lock under which we write the record, the next holder of the Lease knows by this mark that it may remove it.
	repo.SetOperation(r.op.LeaseMark(r.inventory.Cluster))
	r.unlock(ctx, func(h repository.Holder) bool { return h.Operation != r.mark() && !r.swept.MayRun(h.Host) })
	// 5. Capture.
	r.Reporter.Phase(PhaseCapture)
	if err := r.capture(ctx); err != nil {
		return nil, err
	}
	// 6. Move.
	r.Reporter.Phase(PhaseMove)
	if err := r.move(ctx); err != nil {
		return nil, err
	}
	// 7. Commit.
	r.Reporter.Phase(PhaseCommit)
	record, err := r.record()
	if err != nil {
		return nil, err
	}
	manifests, err := Manifests(r.inventory, r.plan)
	if err != nil {
		return nil, err
	}
	alone, cancel, err := cluster.Assured(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	if err := repo.Commit(alone, *record, manifests); err != nil {
		return nil, err
	}
	return record, nil
}

// fail marks a volume as not saved. The others go on.
func (r *run) fail(v *volumeRun, err error) {
	v.saved.Error = err.Error()
	r.Reporter.Volume(report.Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: report.StageFailed, Error: v.saved.Error})
}

func (r *run) at(v *volumeRun, stage report.Stage) {
	r.Reporter.Volume(report.Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: stage})
}
