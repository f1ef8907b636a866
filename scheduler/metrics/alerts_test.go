package metrics

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/scheduler"
)

// alert is one expression in docs/scheduler.md that compares a metric with a number.
type alert struct {
	what, metric, compares string
	limit                  float64
}

// alerts reads those of docs/scheduler.md.
func alerts(t *testing.T) (found []alert) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "scheduler.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "Alerts worth having")
	table, _, _ := strings.Cut(rest, "\n## ")
	expression := regexp.MustCompile("`(?:(?:max|min|sum)(?: by \\([a-z, ]+\\))? ?\\()?(stsbackup_[a-z_]+)\\)? (>|==|!=) ([0-9e]+)`")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		for _, match := range expression.FindAllStringSubmatch(cells[2], -1) {
			limit, err := strconv.ParseFloat(match[3], 64)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, alert{strings.TrimSpace(cells[1]), match[1], match[2], limit})
		}
	}
	if len(found) < 9 {
		t.Fatalf("docs/scheduler.md has %d alerts that can be tried", len(found))
	}
	return found
}

// fires reports whether any series of a scrape fulfils the alert. As in Prometheus, a missing metric fires nothing.
func (a alert) fires(t *testing.T, text string) bool {
	t.Helper()
	for line := range strings.Lines(text) {
		series, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name, _, _ := strings.Cut(series, "{"); name != a.metric {
			continue
		}
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if a.compares == ">" && value > a.limit || a.compares == "==" && value == a.limit || a.compares == "!=" && value != a.limit {
			return true
		}
	}
	return false
}

// TestAlerts: each outage fires the alerts that are meant for it, and no others. The scheduler's own tests find the
// same states in such outages.
func TestAlerts(t *testing.T) {
	const (
		late     = "a StatefulSet has no recent recovery point"
		lost     = "a repository cannot be opened"
		password = "the root password is wrong"
		bucket   = "the bucket does not answer"
		damaged  = "data is damaged"
		invalid  = "the policies in force are not the ones that you wrote"
		leader   = "nobody leads"
	)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	known := scheduler.StatefulSetStatus{
		Name: scheduler.Name{
			Namespace:   "demo",
			StatefulSet: "web",
		},
		Policy:      "nightly",
		Known:       true,
		LastSuccess: ago(2 * time.Hour),
		Objective:   now.Add(time.Hour),
		Verify: scheduler.UpkeepStatus{
			Scheduled:   true,
			LastSuccess: ago(time.Hour),
		},
		Prune: scheduler.UpkeepStatus{Scheduled: true, LastSuccess: ago(time.Hour)},
	}
	overdue := known
	overdue.Objective, overdue.RepositoryFailing = ago(2*time.Hour), ago(2*time.Hour)
	blind := overdue // a leader that has never seen a recovery point
	blind.Known, blind.LastSuccess = false, time.Time{}
	alone := known
	alone.RepositoryFailing = ago(time.Hour)
	harmed := known
	harmed.Verify.Damaged = true
	status := func(sets ...scheduler.StatefulSetStatus) scheduler.Status {
		return scheduler.Status{Leading: true, Ticked: now, StatefulSets: sets}
	}
	for name, tt := range map[string]struct {
		set   scheduler.StatefulSetStatus
		at    func(*scheduler.Status)
		fires []string
	}{
		"all is well": {set: known},
		"the bucket is away": {
			overdue, func(s *scheduler.Status) { s.BucketFailing = ago(2 * time.Hour) }, []string{late, lost, bucket},
		},
		"the bucket was away from the start": {
			blind, func(s *scheduler.Status) { s.BucketFailing = ago(2 * time.Hour) }, []string{late, lost, bucket},
		},
		"the root password is wrong": {
			overdue, func(s *scheduler.Status) { s.PasswordFailing = ago(2 * time.Hour) }, []string{late, lost, password},
		},
		"one repository's password is": {alone, nil, []string{lost}},
		"damage":                       {harmed, nil, []string{damaged}},
		"nobody leads":                 {known, func(s *scheduler.Status) { *s = scheduler.Status{} }, []string{leader}},
	} {
		s := newShown()
		s.now, s.status = now, status(tt.set)
		if tt.at != nil {
			tt.at(&s.status)
		}
		_, text := s.get(t, "/metrics")
		fired := []string{}
		for _, a := range alerts(t) {
			if a.fires(t, text) && !slices.Contains(fired, a.what) {
				fired = append(fired, a.what)
			}
		}
		want := append([]string{}, tt.fires...)
		slices.Sort(fired)
		slices.Sort(want)
		if diff := cmp.Diff(want, fired); diff != "" {
			t.Errorf("%s (-want +fired):\n%s", name, diff)
		}
	}
	s := newShown()
	s.now, s.status, s.policies.Error = now, status(known), "line 3"
	_, text := s.get(t, "/metrics")
	if !slices.ContainsFunc(alerts(t), func(a alert) bool { return a.what == invalid && a.fires(t, text) }) {
		t.Error("a policy file that was rejected fires nothing")
	}
}
