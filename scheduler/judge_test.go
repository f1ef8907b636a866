package scheduler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestJudge uses a schedule that was due at 2:00, and will be due at 2:00 the next day.
func TestJudge(t *testing.T) {
	t.Parallel()
	due, following := date(11, 21, 2, 0), date(11, 22, 2, 0)
	point := func(begun time.Time) Point {
		return Point{Started: begun, Finished: begun.Add(time.Minute), Complete: true}
	}
	part := func(begun time.Time) Point { return Point{Started: begun, Finished: begun.Add(time.Minute)} }
	running := Point{Started: due.Add(time.Minute)}
	now := due.Add(time.Hour)
	owed := verdict{run: due, until: following, from: due, next: following}
	none := verdict{next: following}
	for name, test := range map[string]struct {
		deadline time.Duration
		standing standing
		now      time.Time
		want     verdict
	}{
		"never backed up":           {want: owed},
		"backed up before":          {standing: standing{points: []Point{point(due.Add(-time.Second))}}, want: owed},
		"backed up at its time":     {standing: standing{points: []Point{point(due)}}, want: none},
		"backed up by a person":     {standing: standing{points: []Point{point(due.Add(-time.Hour)), point(due.Add(time.Minute))}}, want: none},
		"backed up in the future":   {standing: standing{points: []Point{point(now.Add(time.Hour))}}, want: owed},
		"by a clock that goes fast": {standing: standing{points: []Point{point(now.Add(time.Minute))}}, want: none},
		"interrupted":               {standing: standing{points: []Point{running, running, running}}, want: owed},
		"incomplete":                {standing: standing{points: []Point{part(due), part(due)}}, want: owed},
		"incomplete for the last time": {
			standing: standing{points: []Point{part(due), part(due), part(due)}},
			want:     verdict{run: due, until: following, from: due, next: following, exhausted: true},
		},
		"incomplete the day before":   {standing: standing{points: []Point{part(due.Add(-1)), part(due.Add(-1)), part(due.Add(-1))}}, want: owed},
		"created since":               {standing: standing{created: due.Add(time.Second)}, want: none},
		"given up":                    {standing: standing{gaveUp: due}, want: none},
		"the one before was given up": {standing: standing{gaveUp: due.Add(-24 * time.Hour)}, want: owed},
		"within the deadline": {
			deadline: 2 * time.Hour, want: verdict{run: due, until: due.Add(2 * time.Hour), from: due, next: due.Add(2 * time.Hour)},
		},
		"at the deadline":           {deadline: time.Hour, want: none},
		"a deadline after the next": {deadline: 48 * time.Hour, now: following.Add(-1), want: owed},
		"failed just now": {
			standing: standing{wait: now.Add(time.Minute)},
			want:     verdict{run: due, until: following, from: now.Add(time.Minute), next: now.Add(time.Minute)},
		},
		"failed a while ago":         {standing: standing{wait: now}, want: verdict{run: due, until: following, from: now, next: following}},
		"failed, and clock set back": {standing: standing{wait: now.Add(24 * time.Hour)}, want: owed},
		"failed, no time to retry": {
			deadline: 70 * time.Minute, standing: standing{wait: now.Add(20 * time.Minute)},
			want: verdict{run: due, until: due.Add(70 * time.Minute), from: now.Add(20 * time.Minute), next: due.Add(70 * time.Minute)},
		},
	} {
		at := now
		if !test.now.IsZero() {
			at = test.now
		}
		got := judge(rule{deadline: test.deadline}, window{due: due, next: following}, test.standing, at)
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(verdict{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestObjective(t *testing.T) {
	t.Parallel()
	daily := rule{next: schedule(t, "0 2 * * *", "")}
	now := date(11, 21, 12, 0)
	for name, test := range map[string]struct {
		standing standing
		want     time.Time
	}{
		"in time": {standing{points: []Point{{Started: date(11, 21, 2, 0), Complete: true}}}, date(11, 22, 2, 0)},
		"three days late": {
			standing{points: []Point{{Started: date(11, 17, 2, 0), Complete: true}, {Started: date(11, 21, 2, 0)}}}, date(11, 18, 2, 0),
		},
		"new":   {standing{created: date(11, 21, 11, 0)}, date(11, 22, 2, 0)},
		"never": {standing{created: date(11, 1, 11, 0)}, date(11, 2, 2, 0)},
		"created again": {
			standing{created: date(11, 21, 11, 0), points: []Point{{Started: date(11, 20, 2, 0), Complete: true}}}, date(11, 22, 2, 0),
		},
	} {
		if got := objective(daily, test.standing, now); !got.Equal(test.want) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	web, db := Name{"demo", "web"}, Name{"demo", "db"}
	spread := map[time.Duration]bool{}
	for failures := range 100 {
		wait := backoff(web, failures, backoffMost)
		most := backoffMost
		if failures < 8 {
			most = 15 * time.Second << max(0, failures-1)
		}
		if wait > most || wait < most*3/4 {
			t.Errorf("after %d failures %s, want %s or up to a quarter less", failures, wait, most)
		}
	}
	for i := range 40 {
		spread[backoff(Name{"demo", string(rune('a' + i))}, 1, backoffMost)] = true
	}
	if len(spread) < 35 || backoff(web, 3, backoffMost) == backoff(db, 3, backoffMost) {
		t.Errorf("40 StatefulSets have %d different waits", len(spread))
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	c := func(namespace, name string, last int) candidate {
		return candidate{name: Name{namespace, name}, last: time.Unix(int64(last), 0)}
	}
	names := func(chosen []candidate) (names []string) {
		for _, c := range chosen {
			names = append(names, c.name.String())
		}
		return names
	}
	all := []candidate{c("a", "1", 50), c("a", "2", 40), c("a", "3", 30), c("b", "1", 20), c("b", "2", 60), c("c", "1", 0), c("c", "0", 0)}
	for name, test := range map[string]struct {
		running               map[string]int
		overall, perNamespace int
		want                  []string
	}{
		"the stalest first":             {nil, 3, 3, []string{"c/0", "c/1", "b/1"}},
		"one of each namespace":         {nil, 9, 1, []string{"c/0", "b/1", "a/3"}},
		"two of each":                   {nil, 5, 2, []string{"c/0", "c/1", "b/1", "a/3", "a/2"}},
		"beside what runs":              {map[string]int{"c": 1, "d": 1}, 4, 1, []string{"b/1", "a/3"}},
		"as many as there may be":       {map[string]int{"d": 4}, 4, 4, nil},
		"more than there may be by now": {map[string]int{"d": 9}, 4, 4, nil},
	} {
		if diff := cmp.Diff(
			test.want,
			names(choose(append([]candidate(nil), all...), test.running, test.overall, test.perNamespace)),
		); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
