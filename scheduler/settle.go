package scheduler

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// settle takes over the outcome of a task.
func (t *term) settle(o outcome) {
	t.active--
	switch o.job {
	case jobLook:
		t.looks--
		t.settleLook(o)
	case jobBackup:
		t.backups[o.name.Namespace]--
		t.settleBackup(o)
	case jobDisplaced:
		t.settleDisplaced(o)
	case jobDiscard:
		t.upkeeps[o.name.Namespace]--
		t.settleDiscard(o)
	default:
		t.upkeeps[o.name.Namespace]--
		t.settleUpkeep(o)
	}
}

// settleLook takes over recovery points that were listed before any decision.
func (t *term) settleLook(o outcome) {
	e := o.entry
	e.busyWith, e.looked = idle, true
	if e.operations != o.operations {
		return // they belong to the previous repository
	}
	result := o.classify(t.ctx.Err() != nil)
	t.noteListing(o, result)
	switch {
	case o.listed:
		e.points, e.known = o.points, true
		e.failures, e.reason, e.wait = 0, "", time.Time{}
	case result == resultFailed:
		t.putOff(e, o, backoffLook)
		t.Log.Warn("recovery points unknown", "statefulset", o.name.String(), "error", o.err.Error(), "retryAt", stamp(e.wait))
	default:
		e.wait = o.ended.Add(backoffLook)
	}
}

// settleBackup takes over the outcome of a backup, and logs it in one line.
func (t *term) settleBackup(o outcome) {
	e := o.entry
	e.busyWith = idle
	result := o.classify(t.ctx.Err() != nil)
	if e.operations == o.operations {
		t.noteListing(o, result)
		t.learn(e, o)
	}
	e.counts.read += o.result.BytesRead
	e.counts.stored += o.result.BytesStored
	if result != resultBusy {
		e.busy = 0
	}
	log := o.log(t.Log, result, o.attributes(e.failures+1)...)
	switch result {
	case resultDone, resultAlready:
		t.succeeded(e, o, result)
		log.Info("backup")
	case resultBusy:
		e.busy++
		e.wait, e.reason = o.ended.Add(backoff(o.name, e.busy, busyMost)), o.err.Error()
		log.Info("backup", "retryAt", stamp(e.wait))
	case resultGone:
		e.wait, e.reason = o.ended.Add(longestNap), o.err.Error()
		log.Info("backup")
	case resultCancelled:
		log.Warn("backup")
	case resultRefused:
		e.counts.failed++
		e.gaveUp, e.owed, e.troubled = o.run, time.Time{}, true
		e.counts.givenUp++
		e.reason = o.err.Error()
		log.Error("backup")
		t.Events.Warn(e.set, ReasonRefused, fmt.Sprintf("The backup that was due at %s is not made: %s", stamp(o.run), o.err))
	default:
		e.counts.failed++
		most := backoffMost
		if !o.listed {
			most = backoffLook
		}
		t.putOff(e, o, most)
		log.Warn("backup", "retryAt", stamp(e.wait))
	}
}

// learn takes over what a backup has found out about recovery points.
func (t *term) learn(e *entry, o outcome) {
	if o.listed {
		e.points, e.known = o.points, true
	}
	if o.result.ID != "" {
		e.points = append(e.points, o.result.Point)
	}
}

// succeeded records that a run has its recovery point.
func (t *term) succeeded(e *entry, o outcome, result string) {
	if e.troubled {
		t.Events.Note(
			e.set,
			ReasonRecovered,
			fmt.Sprintf("It is backed up again: the run that was due at %s has its recovery point", stamp(o.run)),
		)
	}
	e.failures, e.reason, e.wait, e.troubled = 0, "", time.Time{}, false
	if result == resultAlready {
		return
	}
	e.counts.succeeded++
	e.last, e.took = o.result, o.ended.Sub(o.began)
	if o.forgetErr != nil && !errors.Is(o.forgetErr, ErrBusy) && !errors.Is(o.forgetErr, ErrGone) && t.ctx.Err() == nil {
		e.counts.forgetFailed++
		t.Events.Warn(
			e.set,
			ReasonForgetFailed,
			"Could not remove recovery points that no rule keeps; the next backup tries again: "+o.forgetErr.Error(),
		)
	}
}

// putOff makes a StatefulSet wait after a failure.
func (t *term) putOff(e *entry, o outcome, most time.Duration) {
	e.failures++
	e.reason = o.err.Error()
	e.wait = o.ended.Add(backoff(o.name, e.failures, most))
}

// lapsed reports the last run that was owed, if it is no longer owed and has no recovery point. run is the one that is
// owed now.
func (t *term) lapsed(e *entry, run, now time.Time) {
	if e.owed.IsZero() || e.owed.Equal(run) {
		return
	}
	switch {
	case e.owed.After(now): // the clock has been set back: the run comes again
	case e.known && done(e.points, e.owed, now):
		if after := e.rule().next(e.owed); after.Before(e.window.due) {
			t.Log.Warn("runs left out: a backup took longer than the time between them", "statefulset", e.name().String(),
				"from", stamp(after), "before", stamp(e.window.due))
		}
	default:
		t.giveUp(e, cmp.Or(e.reason, "others had to be backed up first"))
	}
}

// giveUp reports once that the owed run has not been made.
func (t *term) giveUp(e *entry, reason string) {
	text := lapse(e.owed, e.until, reason)
	t.Log.Error(
		"backup given up",
		"statefulset",
		e.name().String(),
		"run",
		stamp(e.owed),
		"until",
		stamp(e.until),
		"tries",
		e.failures,
		"error",
		reason,
	)
	t.Events.Warn(e.set, ReasonGivenUp, "Given up: "+text)
	e.counts.givenUp++
	e.gaveUp, e.owed, e.troubled = e.owed, time.Time{}, true
}

// log prepares the line that reports a task's outcome.
func (o *outcome) log(log *slog.Logger, result string, more ...any) *slog.Logger {
	log = log.With("statefulset", o.name.String(), "policy", o.policy.Name, "result", result, "seconds", seconds(o.ended.Sub(o.began))).
		With(more...)
	if o.err != nil {
		log = log.With("error", o.err.Error())
	}
	return log
}

// attributes are what the log also says about every backup.
func (o *outcome) attributes(try int) []any {
	attributes := []any{"run", stamp(o.run), "try", try}
	if o.result.ID != "" {
		attributes = append(attributes, "recoveryPoint", o.result.ID, "bytesRead", o.result.BytesRead, "bytesStored", o.result.BytesStored)
		phases := map[string]float64{}
		for phase, took := range o.result.Phases {
			phases[phase] = seconds(took)
		}
		attributes = append(attributes, "phases", phases)
	}
	if o.err == nil && o.policy.Keep != nil && !o.already {
		attributes = append(attributes, "forgotten", o.forgot)
	}
	if o.forgetErr != nil {
		attributes = append(attributes, "forgetError", o.forgetErr.Error())
	}
	return attributes
}

// seconds are as exact as anybody wants them.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
