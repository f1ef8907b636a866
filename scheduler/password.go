package scheduler

import (
	"errors"
	"time"
)

// passwordFailing is since when the root password opens no repository, although the bucket answers; zero if it opens
// one, or if nothing is known about that. A single repository with another password, while others can be opened, is its
// own trouble.
func passwordFailing(listings []listing) time.Time {
	var since time.Time
	for _, l := range listings {
		switch {
		case l.failing.IsZero(): // it was opened, or nobody has tried
			return time.Time{}
		case !l.failing.IsZero() && errors.Is(l.err, ErrPassword):
			since = earliest(since, l.failing)
		}
	}
	return since
}

// notePassword updates since when the root password opens nothing.
func (t *term) notePassword(o outcome, listings []listing) {
	failing := passwordFailing(listings)
	switch {
	case failing.IsZero() && !t.password.since.IsZero():
		t.Log.Info("the root password opens repositories again", "failedSince", stamp(t.password.since))
		t.password.why = ""
	case !failing.IsZero() && t.password.since.IsZero():
		t.Log.Error("the root password opens no repository", "statefulset", o.name.String(), "error", o.err.Error())
	}
	t.password.since = failing
	if !failing.IsZero() && errors.Is(o.err, ErrPassword) {
		t.password.why = o.err.Error()
	}
}
