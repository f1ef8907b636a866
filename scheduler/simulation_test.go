package scheduler

import (
	"fmt"
	"testing"
	"time"
)

// simulation runs the decisions about a schedule over simulated time. Only the points survive a restart.
type simulation struct {
	rule     rule
	standing standing
	window   window
	// now is the time that the scheduler's clock shows.
	now time.Time
	// memory is how many recovery points are kept.
	memory int
	// takes is how long a backup takes; fails says which tries fail, counted from 0.
	takes    time.Duration
	fails    func(try int) bool
	tries    int
	failures int
	// runs is how many complete recovery points each time got; order is their order, gaveUp the runs that were given
	// up.
	runs   map[time.Time]int
	order  []time.Time
	gaveUp []time.Time
	owed   time.Time
}

func newSimulation(next next, deadline time.Duration, start time.Time) *simulation {
	return &simulation{
		rule: rule{next: next, deadline: deadline}, now: start, standing: standing{created: start},
		takes: time.Second, memory: 40, fails: func(int) bool { return false }, runs: map[time.Time]int{},
	}
}

// restart forgets everything except the content of the bucket.
func (s *simulation) restart() {
	s.standing = standing{created: s.standing.created, points: s.standing.points}
	s.window, s.owed, s.failures = window{}, time.Time{}, 0
}

// until runs the scheduler until its clock shows the end.
func (s *simulation) until(end time.Time) {
	for s.now.Before(end) {
		wake := s.step()
		if wake.IsZero() || wake.After(end) {
			wake = end
		}
		s.now = wake
	}
}

// step decides once, and returns when to do so again.
func (s *simulation) step() time.Time {
	s.window = s.window.move(s.rule.next, s.now)
	v := judge(s.rule, s.window, s.standing, s.now)
	if !s.owed.IsZero() && !v.run.Equal(s.owed) && !s.owed.After(s.now) && !done(s.standing.points, s.owed, s.now) {
		s.gaveUp = append(s.gaveUp, s.owed)
	}
	s.owed = v.run
	if v.exhausted {
		s.gaveUp = append(s.gaveUp, v.run)
		s.standing.gaveUp, s.owed = v.run, time.Time{}
		return s.now
	}
	if v.run.IsZero() || v.from.After(s.now) {
		return v.next
	}
	began := s.now
	s.tries++
	if s.fails(s.tries - 1) {
		s.failures++
		s.standing.wait = began.Add(s.takes).Add(backoff(Name{"demo", "web"}, s.failures, backoffMost))
		return began.Add(s.takes)
	}
	s.failures, s.standing.wait = 0, time.Time{}
	// Old points do not change the decisions; without them the simulation is fast.
	points := append(s.standing.points, Point{Started: began, Finished: began.Add(s.takes), Complete: true})
	s.standing.points = points[max(0, len(points)-s.memory):]
	s.runs[v.run.UTC()]++
	s.order = append(s.order, v.run.UTC())
	return began.Add(s.takes)
}

// check compares the runs with those that the schedule asks for: each once, except those for which without is true.
func (s *simulation) check(t *testing.T, what string, from, to time.Time, without func(time.Time) bool) {
	t.Helper()
	count := 0
	for at := s.rule.next(from); at.Before(to); at = s.rule.next(at) {
		count++
		want := 1
		if without != nil && without(at) {
			want = 0
		}
		if got := s.runs[at.UTC()]; got != want {
			t.Errorf("%s: the run of %s was made %d times, want %d", what, at, got, want)
			return
		}
		delete(s.runs, at.UTC())
	}
	if len(s.runs) != 0 || count == 0 {
		t.Errorf("%s: %d runs, and besides %v", what, count, s.runs)
	}
}

// TestTwoYears: whatever the clocks on the wall do, the scheduler makes each run once, even if it restarts again and
// again, each time at another minute of the hour.
func TestTwoYears(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	end := start.AddDate(2, 0, 0)
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana"} {
		for _, fields := range []string{"30 2 * * *", "0 2,3 * * *", "15 * * * *", "0 0 * * sun", "30 1 1 * *"} {
			if zone == "UTC" && fields == "15 * * * *" {
				continue // takes the longest, and shows nothing where no clock is set
			}
			for _, restarts := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s %v", fields, zone, restarts), func(t *testing.T) {
					t.Parallel()
					s := newSimulation(schedule(t, fields, zone), 0, start)
					if !restarts {
						s.until(end)
					} else {
						for minute := 0; s.now.Before(end); minute++ {
							s.until(earliest(end, s.now.Add(7*time.Hour+time.Minute)))
							s.restart()
						}
					}
					s.check(t, "two years", start, end, nil)
				})
			}
		}
	}
}

// TestRestartAtEveryMinute restarts at each minute of an hour with a run in it; each restart lasts as long as another
// scheduler needs to take over.
func TestRestartAtEveryMinute(t *testing.T) {
	t.Parallel()
	start := date(3, 28, 12, 0)
	next := schedule(t, "30 2 * * *", "Europe/Berlin") // at 1:00 UTC that night, because the hour is skipped
	for minute := range 60 {
		for _, away := range []time.Duration{0, 20 * time.Second, 40 * time.Minute} {
			s := newSimulation(next, 2*time.Hour, start)
			s.until(date(3, 29, 0, 30).Add(time.Duration(minute) * time.Minute))
			s.restart()
			s.now = s.now.Add(away)
			s.until(date(4, 3, 0, 0))
			s.check(t, fmt.Sprintf("restart at minute %d, away for %s", minute, away), start, date(4, 3, 0, 0), nil)
		}
	}
}

// TestAwayForADay: the scheduler makes up for one run, if its deadline allows that, and never for more.
func TestAwayForADay(t *testing.T) {
	t.Parallel()
	start, end := date(11, 1, 0, 1), date(11, 9, 0, 0)
	away, back := date(11, 4, 0, 30), date(11, 5, 0, 40)
	for name, test := range map[string]struct {
		fields   string
		deadline time.Duration
		// made is the run that was due meanwhile and is made up for; zero if none is.
		made time.Time
	}{
		"hourly":                        {"0 * * * *", 0, date(11, 5, 0, 0)},
		"hourly, within its deadline":   {"0 * * * *", 45 * time.Minute, date(11, 5, 0, 0)},
		"hourly, too late":              {"0 * * * *", 30 * time.Minute, time.Time{}},
		"daily":                         {"0 3 * * *", 0, date(11, 4, 3, 0)},
		"daily, too late":               {"0 3 * * *", 4 * time.Hour, time.Time{}},
		"daily, deadline of three days": {"0 3 * * *", 72 * time.Hour, date(11, 4, 3, 0)},
	} {
		s := newSimulation(schedule(t, test.fields, ""), test.deadline, start)
		s.until(away)
		before := s.tries
		s.restart()
		s.now = back
		s.step()
		want := 1
		if test.made.IsZero() {
			want = 0
		}
		if s.tries-before != want {
			t.Errorf("%s: %d runs at once after the day, want %d", name, s.tries-before, want)
		}
		s.until(end)
		s.check(t, name, start, end, func(at time.Time) bool { return at.After(away) && at.Before(back) && !at.Equal(test.made) })
	}
}

// TestClockThatJumps: the scheduler makes once each run of a time that the clock has shown, whether the clock shows
// that time twice or skips it. If it skips a time, the scheduler makes up for the last of the runs in it.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	start, end := date(11, 8, 12, 1), date(11, 13, 0, 0)
	for _, fields := range []string{"0 * * * *", "30 2 * * *", "*/5 * * * *"} {
		for _, jump := range []time.Duration{
			-26 * time.Hour, -time.Hour, -10 * time.Minute, -time.Second, time.Second, 4 * time.Minute, 3 * time.Hour, 50 * time.Hour,
		} {
			for minute := range 5 {
				s := newSimulation(schedule(t, fields, ""), 0, start)
				s.memory = 400
				at := date(11, 10, 2, 28).Add(time.Duration(minute) * time.Minute)
				s.until(at)
				s.now = at.Add(jump)
				s.until(end)
				last := windowAt(s.rule.next, at.Add(jump)).due
				s.check(t, fmt.Sprintf("%s, clock set by %s at %s", fields, jump, at), start, end, func(run time.Time) bool {
					return !run.Before(at) && run.Before(at.Add(jump)) && !run.Equal(last)
				})
			}
		}
	}
}

// TestClockThatWasInTheFuture: recovery points from the future do not count for the runs until then.
func TestClockThatWasInTheFuture(t *testing.T) {
	t.Parallel()
	start := date(11, 1, 0, 1)
	s := newSimulation(schedule(t, "30 2 * * *", ""), 0, start)
	s.until(date(11, 5, 12, 0))
	s.now = s.now.AddDate(1, 0, 0)
	s.until(s.now.Add(time.Hour))
	s.now = date(11, 5, 13, 0)
	s.until(date(11, 20, 0, 0))
	last := time.Date(2027, 11, 5, 2, 30, 0, 0, time.UTC)
	if s.runs[last] != 1 {
		t.Errorf("a year ahead the run of %s was made %d times", last, s.runs[last])
	}
	delete(s.runs, last)
	s.check(t, "back from a year ahead", start, date(11, 20, 0, 0), nil)
}

// TestFailures: the scheduler retries a failed run, less and less often, until its deadline, and gives it up once.
func TestFailures(t *testing.T) {
	t.Parallel()
	start, run := date(11, 1, 12, 0), date(11, 2, 2, 30)
	next := schedule(t, "30 2 * * *", "")

	s := newSimulation(next, 4*time.Hour, start)
	s.fails = func(int) bool { return true }
	s.until(date(11, 3, 0, 0))
	if len(s.runs) != 0 || len(s.gaveUp) != 1 || !s.gaveUp[0].Equal(run) || s.tries < 12 || s.tries > 20 {
		t.Errorf("%d tries, made %v, given up %v", s.tries, s.runs, s.gaveUp)
	}

	s = newSimulation(next, 4*time.Hour, start)
	s.fails = func(try int) bool { return try < 5 }
	s.until(date(11, 4, 0, 0))
	if s.tries != 7 || len(s.gaveUp) != 0 {
		t.Errorf("%d tries, given up %v", s.tries, s.gaveUp)
	}
	s.check(t, "five failures", start, date(11, 4, 0, 0), nil)
}

// TestIncomplete: the scheduler tries a few times to save what is missing, not for ever; even if the leader changes
// each time.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		s := newSimulation(schedule(t, "30 2 * * *", ""), 0, date(11, 1, 12, 0))
		s.fails = func(int) bool {
			s.standing.points = append(s.standing.points, Point{Started: s.now, Finished: s.now.Add(time.Second)})
			return true
		}
		for s.now.Before(date(11, 4, 0, 0)) {
			s.until(s.now.Add(5 * time.Minute))
			if restart && len(s.gaveUp) == 0 {
				s.restart()
			}
		}
		if s.tries != 2*incompleteMost || len(s.gaveUp) != 2 {
			t.Errorf("restart %v: %d tries in two days, given up %v", restart, s.tries, s.gaveUp)
		}
	}
}

// TestBackupsThatTakeLong: if a backup takes longer than the time between runs, the last run that was due follows it.
func TestBackupsThatTakeLong(t *testing.T) {
	t.Parallel()
	s := newSimulation(schedule(t, "0 * * * *", ""), 0, date(11, 1, 0, 30))
	s.takes = 150 * time.Minute
	s.until(date(11, 1, 11, 0))
	want := []int{1, 3, 6, 8}
	for i, hour := range want {
		if i >= len(s.order) || s.order[i].Hour() != hour {
			t.Fatalf("made %v, want those of the hours %v", s.order, want)
		}
	}
}
