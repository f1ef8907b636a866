package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// task is one piece of work. It holds everything that it needs: what the entry knows may change while it runs.
type task struct {
	entry      *entry
	job        job
	name       Name
	run        time.Time // the run that it is for
	policy     *policy.Policy
	operations Operations
	now        func() time.Time
}

// outcome is the result of a task.
type outcome struct {
	task
	began, ended time.Time
	// points are the recovery points from before the backup; nil if they could not be listed, or nobody asked.
	points []Point
	listed bool
	// already: the run has its recovery point without us.
	already bool
	result  Result
	err     error
	// displaced is what is set aside, and discarded which part of that was freed.
	displaced map[Name]Displaced
	discarded Discarded
	// forgot is how many recovery points were removed after the backup, and forgetErr the error of removing them.
	forgot    int
	forgetErr error
}

// begin starts a task, which ends with the term.
func (t *term) begin(e *entry, kind job, run time.Time) {
	work := task{entry: e, job: kind, name: e.name(), run: run, policy: e.assignment.Policy, operations: e.operations, now: t.now}
	switch kind {
	case jobLook:
		e.busyWith = kind
		t.looks++
	case jobBackup:
		e.busyWith = kind
		e.attempt = t.now()
		t.backups[work.name.Namespace]++
	case jobDiscard:
		e.discard.running = true
		t.upkeeps[work.name.Namespace]++
	default:
		u := e.upkeep(kind)
		u.running = true
		if u.first.IsZero() {
			u.first = t.now()
		}
		t.upkeeps[work.name.Namespace]++
	}
	t.start(work)
}

// start runs a task in a goroutine of its own, which ends with the term.
func (t *term) start(work task) {
	t.active++
	go func() { t.outcomes <- work.do(t.ctx) }()
}

// do runs the task.
func (w task) do(ctx context.Context) outcome {
	o := outcome{task: w, began: w.now()}
	switch w.job {
	case jobLook:
		o.look(ctx)
	case jobBackup:
		o.backup(ctx)
	case jobPrune:
		o.err = w.operations.Prune(ctx, w.name)
	case jobVerify:
		o.err = w.operations.Verify(ctx, w.name, w.policy.Verify.ReadData)
	case jobDisplaced:
		o.lookAside(ctx)
	case jobDiscard:
		o.discarded, o.err = w.operations.Discard(ctx, w.name, discardBefore(w.policy, o.began))
	default:
		o.err = fmt.Errorf("there is no work of the kind %q", w.job)
	}
	o.ended = w.now()
	return o
}

// look lists the recovery points.
func (o *outcome) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	points, err := o.operations.Points(ctx, o.name)
	if err != nil {
		o.err = fmt.Errorf("list the recovery points: %w", err)
		return
	}
	o.points, o.listed = points, true
}

// backup makes the recovery point of a run, unless there is one by now: somebody at a terminal, or the previous leader,
// may have made it.
func (o *outcome) backup(ctx context.Context) {
	if o.look(ctx); o.err != nil {
		return
	}
	if done(o.points, o.run, o.now()) {
		o.already = true
		return
	}
	if o.result, o.err = o.operations.Backup(ctx, o.name, o.policy.Backup); o.err != nil {
		return
	}
	if o.policy.Keep != nil {
		o.forgot, o.forgetErr = o.operations.Forget(ctx, o.name, *o.policy.Keep, o.policy.Zone)
	}
}

// The outcomes, as the log names them.
const (
	resultDone       = "done"
	resultAlready    = "already done"
	resultIncomplete = "incomplete"
	resultFailed     = "failed"
	resultRefused    = "refused"
	resultDamaged    = "damaged"
	resultBusy       = "busy"
	resultNotReady   = "not ready"
	resultGone       = "gone"
	resultCancelled  = "cancelled"
)

// classify says what the outcome means; ended is whether the leader's time was over.
func (o *outcome) classify(ended bool) string {
	switch {
	case o.err == nil && o.already:
		return resultAlready
	case o.err == nil:
		return resultDone
	case errors.Is(o.err, ErrGone):
		return resultGone
	case o.result.ID != "" && !ended:
		return resultIncomplete
	case ended:
		return resultCancelled
	case errors.Is(o.err, ErrDamaged):
		return resultDamaged
	case errors.Is(o.err, ErrBusy):
		return resultBusy
	case errors.Is(o.err, ErrNotReady):
		return resultNotReady
	case errors.Is(o.err, ErrRefused):
		return resultRefused
	default:
		return resultFailed
	}
}
