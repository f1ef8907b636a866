package scheduler

import (
	"cmp"
	"time"
)

// settleUpkeep takes over the outcome of a prune or a verification.
func (t *term) settleUpkeep(o outcome) {
	e := o.entry
	u := e.upkeep(o.job)
	u.running = false
	result := o.classify(t.ctx.Err() != nil)
	log := o.log(t.Log, result, "run", stamp(o.run))
	switch result {
	case resultDone:
		u.succeeded, u.failed, u.damaged, u.reason = o.ended, false, false, ""
		u.settle(o.run)
		log.Info(string(o.job))
	case resultBusy, resultGone:
		u.first = time.Time{} // it was not tried
		u.busy++
		u.wait, u.reason = o.ended.Add(backoff(o.name, u.busy, busyMost)), o.err.Error()
		log.Info(string(o.job), "retryAt", stamp(u.wait))
	case resultCancelled:
		log.Warn(string(o.job))
	case resultDamaged:
		log.Error(string(o.job))
		t.Events.Warn(e.set, ReasonDamaged, "Data in the bucket is damaged or missing: "+o.err.Error())
		u.failed, u.damaged, u.reason = false, true, ""
		u.settle(o.run)
	case resultRefused:
		u.reason = o.err.Error()
		log.Error(string(o.job))
		t.giveUpUpkeep(e, o.job)
	default:
		u.failures++
		u.reason = o.err.Error()
		u.wait = o.ended.Add(backoff(o.name, u.failures, backoffMost))
		log.Warn(string(o.job), "retryAt", stamp(u.wait))
	}
}

// giveUpUpkeep reports once that a prune or verification has failed.
func (t *term) giveUpUpkeep(e *entry, kind job) {
	u := e.upkeep(kind)
	reason, text := ReasonPruneFailed, "Space could not be freed"
	if kind == jobVerify {
		reason, text = ReasonVerifyFailed, "Recovery points could not be verified, so nothing is known of damage"
	}
	why := cmp.Or(u.reason, "it could not begin")
	t.Log.Error(string(kind)+" given up", "statefulset", e.name().String(), "run", stamp(u.owed), "tries", u.failures, "error", why)
	t.Events.Warn(e.set, reason, text+": "+why)
	u.failed = true
	u.settle(u.owed)
}
