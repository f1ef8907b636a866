package operations

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
)

// Backup implements scheduler.Operations.
func (o *Operations) Backup(ctx context.Context, of scheduler.Name, options policy.Backup) (scheduler.Result, error) {
	reporter := &phaseReporter{now: o.Now, log: o.logOf(of), phases: map[string]time.Duration{}}
	record, err := o.makeRecoveryPoint(ctx, of, options, reporter)
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

// makeRecoveryPoint makes a recovery point as the policy says.
func (o *Operations) makeRecoveryPoint(
	ctx context.Context,
	of scheduler.Name,
	options policy.Backup,
	reporter report.Reporter,
) (*catalog.Record, error) {
	root, err := o.Root()
	if err != nil {
		return nil, err
	}
	mover, err := o.Mover(ctx, root, catalog.Name(of), options)
	if err != nil {
		return nil, err
	}
	maker := &backup.Maker{Cluster: o.Cluster, Root: root, Now: o.Now, Random: o.Random, Reporter: reporter}
	return o.backUp(ctx, maker, backup.Request{
		Namespace:            of.Namespace,
		StatefulSet:          of.StatefulSet,
		Holder:               o.Holder,
		Tool:                 o.Process.Version,
		Capture:              capture.Options{Method: method.Method(options.Method)},
		Parallel:             options.Parallel,
		RetryLock:            backup.DefaultRetryLock,
		Mover:                mover,
		SnapshotTimeout:      backup.DefaultSnapshotTimeout,
		SnapshotReadyTimeout: cmp.Or(options.SnapshotReadyTimeout, backup.DefaultReadyTimeout),
		StepsAside:           true, // for a person who restores
	})
}

// Mover says how movers of a StatefulSet's backup run: what its policy says wins over everything else.
func (c Config) Mover(ctx context.Context, root *location.Root, of catalog.Name, options policy.Backup) (cluster.MoverConfig, error) {
	movers := c.Movers
	movers.Requests, movers.Limits = movers.Requests.With(options.Requests), movers.Limits.With(options.Limits)
	movers.Env = movers.Env.With(options.Env)
	return movers.Config(ctx, c.Process, root, of)
}

// phaseReporter measures the phases of a backup, and logs what the command line would tell a person.
type phaseReporter struct {
	report.Silent
	now    func() time.Time
	log    *slog.Logger
	phases map[string]time.Duration
	phase  string
	since  time.Time
}

// Phase ends the previous phase.
func (r *phaseReporter) Phase(phase report.Phase) {
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

// Warn logs the message as a warning.
func (r *phaseReporter) Warn(message string) { r.log.Warn(message) }

// Note logs the message.
func (r *phaseReporter) Note(message string) { note(r.log, message) }

// note logs what the command line would tell a person.
func note(log *slog.Logger, message string) {
	if text, isWarning := strings.CutPrefix(message, "warning: "); isWarning {
		log.Warn(text)
		return
	}
	log.Info(message)
}
