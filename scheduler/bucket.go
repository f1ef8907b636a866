package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// listing says whether the recovery points of one StatefulSet can be listed.
type listing struct {
	// failing is since when listing fails; zero if it does not fail, or was not tried. err is the last error.
	failing time.Time
	err     error
	// before is how many listings, of any StatefulSet, had succeeded in this term when this one first failed. Times
	// would not do, because somebody may set the clock.
	before int
	// told: the scheduler has reported the failure as the trouble of this StatefulSet.
	told bool
}

// bucketFails reports whether listing fails, and the bucket may be the reason. A wrong password shows that the bucket
// answers.
func (l listing) bucketFails() bool { return !l.failing.IsZero() && !errors.Is(l.err, ErrPassword) }

// ofBucket reports whether every StatefulSet would get the same error.
func (l listing) ofBucket() bool {
	return errors.Is(l.err, ErrBucket) || errors.Is(l.err, context.DeadlineExceeded)
}

// bucketDown is since when the bucket as a whole is unusable; zero if it is usable. It is unusable if an error that
// says so is younger than every success, or if no StatefulSet's recovery points can be listed. What fails while other
// listings succeed, such as a repository that has another password, is the trouble of that StatefulSet. listed is how
// many listings have succeeded in total.
func bucketDown(listings []listing, listed int) time.Time {
	var first, recent, said time.Time
	all := true
	for _, l := range listings {
		if !l.bucketFails() {
			all = false
			continue
		}
		first = earliest(first, l.failing)
		if l.before == listed {
			recent = earliest(recent, l.failing)
			if l.ofBucket() {
				said = earliest(said, l.failing)
			}
		}
	}
	switch {
	case !all:
		return said
	case !recent.IsZero():
		return recent
	default:
		return first
	}
}

// noteListing records whether recovery points could be listed, and reports an unusable bucket or single repository.
func (t *term) noteListing(o outcome, result string) {
	l := &o.entry.listing
	switch {
	case o.listed:
		t.listed++
		if l.told {
			t.Log.Info("recovery points can be listed again", "statefulset", o.name.String(), "failedSince", stamp(l.failing))
		}
		*l = listing{}
	case result == resultFailed:
		if l.failing.IsZero() {
			l.failing, l.before = o.ended, t.listed
		}
		l.err = o.err
	default:
		return
	}
	t.noteBucket(o)
	if !o.listed && !l.ofBucket() && t.listed > l.before && !l.told && t.password.since.IsZero() {
		l.told = true
		t.Log.Error("recovery points of this StatefulSet cannot be listed, those of others "+
			"can", "statefulset", o.name.String(), "error", o.err.Error())
		t.Events.Warn(o.entry.set, ReasonRepository, fmt.Sprintf("It is not backed up: its recovery points cannot be listed (those of "+
			"others can): %s. \"stsbackup list %s\" shows whether that is mended", o.err, o.name))
	}
}

// noteBucket updates since when the bucket is unusable.
func (t *term) noteBucket(o outcome) {
	var listings []listing
	for _, e := range t.entries {
		if e.policy() != nil && e.set.Nothing == "" {
			listings = append(listings, e.listing)
		}
	}
	t.notePassword(o, listings)
	down := bucketDown(listings, t.listed)
	switch {
	case down.IsZero() && !t.bucket.since.IsZero():
		t.Log.Info("the bucket answers again", "failedSince", stamp(t.bucket.since))
		t.bucket = trouble{}
	case !down.IsZero() && t.bucket.since.IsZero():
		t.Log.Error("the bucket does not answer", "statefulset", o.name.String(), "error", o.err.Error())
		t.bucket.since = down
	}
	if !t.bucket.since.IsZero() && o.err != nil && !errors.Is(o.err, ErrPassword) {
		t.bucket.why = o.err.Error()
	}
}
