package scheduler

import "time"

// next is a schedule: it returns the first time after the given one at which something is due; zero if there is none.
type next func(after time.Time) time.Time

// window is the present of a schedule: the last time that was due, and the next one.
type window struct {
	// due is zero if nothing was due yet, or not for longestGap.
	due time.Time
	// next is zero if nothing will be due any more.
	next time.Time
}

// move is the window that contains now. Usually that is the same window, or the next one.
func (w window) move(next next, now time.Time) window {
	if w.holds(now) {
		return w
	}
	if !w.next.IsZero() && !now.Before(w.next) {
		if following := next(w.next); following.After(now) {
			return window{due: w.next, next: following}
		}
	}
	return windowAt(next, now)
}

// longestGap is how far back to look for the last time that was due: a schedule for 29 February is due every eight
// years at worst, but no schedule looks ahead further than five.
const longestGap = 5 * 366 * 24 * time.Hour

// windowAt finds the window that contains now. A schedule only says what comes next, so windowAt searches for what came
// last: first how far back to look, then by bisection.
func windowAt(next next, now time.Time) window {
	w := window{next: next(now)}
	for back := time.Hour; ; back *= 8 {
		back = min(back, longestGap)
		from := now.Add(-back)
		due := next(from)
		if !due.IsZero() && !due.After(now) {
			w.due = lastBetween(next, due, now)
			return w
		}
		if back == longestGap {
			return w
		}
	}
}

// lastBetween is the last due time that is not after now; first is one of the due times.
func lastBetween(next next, first, now time.Time) time.Time {
	last, end := first, now // nothing that comes after end is due by now
	for end.Sub(last) > time.Second {
		middle := last.Add(end.Sub(last) / 2).Truncate(time.Second)
		if !middle.After(last) {
			break
		}
		if due := next(middle); due.IsZero() || due.After(now) {
			end = middle
		} else {
			last = due
		}
	}
	if due := next(last); !due.IsZero() && !due.After(now) {
		return due // within the last second
	}
	return last
}

// holds reports whether the window still contains now.
func (w window) holds(now time.Time) bool {
	return !w.due.IsZero() && !now.Before(w.due) && !w.next.IsZero() && now.Before(w.next)
}
