package metrics

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stsbackup/stsbackup/scheduler"
)

// shown is a scheduler with a value for every metric.
type shown struct {
	status   scheduler.Status
	policies scheduler.PoliciesState
	synced   bool
	problem  error
	now      time.Time
}

func newShown() *shown {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	return &shown{
		now: now, synced: true,
		policies: scheduler.PoliciesState{Loaded: now.Add(-time.Hour), Policies: 2, Read: now},
		status: scheduler.Status{Leading: true, Ticked: now, StatefulSets: []scheduler.StatefulSetStatus{
			{
				Name:              scheduler.Name{Namespace: "demo", StatefulSet: "web"},
				Policy:            "nightly",
				Known:             true,
				LastSuccess:       now.Add(-30 * time.Hour),
				LastAttempt:       now.Add(-time.Minute),
				Objective:         now.Add(-90 * time.Minute),
				Running:           true,
				RepositoryFailing: now.Add(-2 * time.Minute),
				Failures:          3,
				Succeeded:         5,
				Failed:            4,
				GivenUp:           1,
				BytesRead:         1 << 30,
				BytesStored:       1 << 20,
				Took:              90 * time.Second,
				Phases:            map[string]time.Duration{"move": 80 * time.Second},
				ForgetFailed:      2,
				Verify:            scheduler.UpkeepStatus{Scheduled: true, LastSuccess: now.Add(-time.Hour), Damaged: true},
				Discard:           scheduler.DiscardStatus{Scheduled: true, Volumes: 6, Failed: true},
			},
			{
				Name: scheduler.Name{Namespace: "demo", StatefulSet: "new"}, Policy: "nightly", Known: true, Objective: now.Add(time.Hour),
				Prune: scheduler.UpkeepStatus{Scheduled: true, LastSuccess: now.Add(-2 * time.Hour)},
			},
			{Name: scheduler.Name{Namespace: "demo", StatefulSet: "odd"}, Problem: "the annotation names no policy"},
			{Name: scheduler.Name{Namespace: "demo", StatefulSet: "unknown"}, Policy: "nightly"},
			{Name: scheduler.Name{Namespace: "demo", StatefulSet: "none"}},
		}, Displaced: []scheduler.DisplacedStatus{
			{
				Name:    scheduler.Name{Namespace: "demo", StatefulSet: "web"},
				Volumes: 3,
				Bytes:   3 << 30,
			},
			{Name: scheduler.Name{Namespace: "demo", StatefulSet: "gone"}, Volumes: 1, Bytes: 512},
		}},
	}
}

func (s *shown) get(t *testing.T, path string) (int, string) {
	t.Helper()
	handler := Handler(Source{
		Status: func() scheduler.Status { return s.status }, Policies: func() scheduler.PoliciesState { return s.policies },
		Synced: func() bool { return s.synced }, Problem: func() error { return s.problem }, Now: func() time.Time { return s.now },
	})
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder.Code, recorder.Body.String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newShown()
	code, text := s.get(t, "/metrics")
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	web := `{namespace="demo",statefulset="web"}`
	for _, line := range []string{
		"stsbackup_scheduler_leader 1", "stsbackup_policies 2", "stsbackup_policies_valid 1", "stsbackup_bucket_failing_seconds 0",
		`stsbackup_backup_policy_info{namespace="demo",policy="nightly",statefulset="web",suspended="no"} 1`,
		`stsbackup_backup_policy_unknown{namespace="demo",statefulset="odd"} 1`,
		"stsbackup_backup_last_success_timestamp_seconds" + web + " 1.795154", "stsbackup_backup_last_attempt_timestamp_seconds" + web +
			" 1.79526",
		"stsbackup_backup_overdue_seconds" + web + " 5400", "stsbackup_backup_running" + web + " 1", "stsbackup_backup_failed_tries" + web + " 3",
		`stsbackup_backup_overdue_seconds{namespace="demo",statefulset="new"} 0`, "stsbackup_repository_failing_seconds" + web + " 120",
		"stsbackup_backup_due_timestamp_seconds" + web + " 1.795257e+09", `stsbackup_backup_due_timestamp_seconds{namespace="demo",` +
			`statefulset="new"} 1.795266e+09`,
		`stsbackup_prune_last_success_timestamp_seconds{namespace="demo",statefulset="new"} 1.7952552e+09`,
		`stsbackup_backup_last_success_timestamp_seconds{namespace="demo",statefulset="new"} 0`,
		`stsbackup_backups_total{namespace="demo",result="complete",statefulset="web"} 5`,
		`stsbackup_backups_total{namespace="demo",result="failed",statefulset="web"} 4`, "stsbackup_backups_given_up_total" + web + " 1",
		"stsbackup_backup_read_bytes_total" + web + " 1.073741824e+09", "stsbackup_backup_stored_bytes_total" + web + " 1.048576e+06",
		`stsbackup_backup_duration_seconds{namespace="demo",phase="move",statefulset="web"} 80`,
		`stsbackup_backup_duration_seconds{namespace="demo",phase="total",statefulset="web"} 90`, "stsbackup_forget_failures_total" + web + " 2",
		"stsbackup_verify_failed" + web + " 0", "stsbackup_verify_damaged" + web + " 1", "stsbackup_prune_scheduled" + web + " 0",
		"stsbackup_displaced_volumes" + web + " 3", "stsbackup_displaced_bytes" + web + " 3.221225472e+09",
		`stsbackup_displaced_volumes{namespace="demo",statefulset="gone"} 1`, `stsbackup_displaced_bytes{namespace="demo",statefulset="gone"} ` +
			`512`,
		"stsbackup_discarded_volumes_total" + web + " 6", "stsbackup_discard_failed" + web + " 1", "process_resident_memory_bytes ",
		"go_goroutines ",
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("no line begins with %s", line)
		}
	}
	for _, line := range []string{
		`_timestamp_seconds{namespace="demo",statefulset="unknown"}`, `statefulset="none"`, `overdue_seconds{namespace="demo",` +
			`statefulset="unknown"}`,
		`stsbackup_discard_failed{namespace="demo",statefulset="new"}`, "stsbackup_prune_failed" + web, `failed_tries{namespace="demo",` +
			`statefulset="odd"}`,
	} {
		if strings.Contains(text, line) {
			t.Errorf("there is %s", line)
		}
	}

	s.status.BucketFailing, s.policies.Error = s.now.Add(-time.Minute), "line 3"
	if _, text = s.get(t, "/metrics"); !strings.Contains(text, "\nstsbackup_bucket_failing_seconds 60") ||
		!strings.Contains(text, "\nstsbackup_policies_valid 0") {
		t.Errorf("a bucket that fails and a file that is wrong:\n%s", text)
	}
	s.status.PasswordFailing = s.now.Add(-2 * time.Minute)
	if _, text = s.get(t, "/metrics"); !strings.Contains(text, "\nstsbackup_password_failing_seconds 120") {
		t.Errorf("a password that opens nothing:\n%s", text)
	}
	s.status = scheduler.Status{}
	if _, text = s.get(t, "/metrics"); strings.Contains(text, "statefulset=") || !strings.Contains(text, "\nstsbackup_scheduler_leader 0") {
		t.Errorf("not leading:\n%s", text)
	}
}

// TestDocumentation: the table of metrics in the documentation names the existing metrics.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "scheduler.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "## Metrics")
	table, _, _ := strings.Cut(rest, "Alerts worth having")
	named := regexp.MustCompile("stsbackup_[a-z_]+").FindAllString(table, -1)
	descriptions := make(chan *prometheus.Desc, 100)
	(&collector{metrics: newMetrics()}).Describe(descriptions)
	close(descriptions)
	var registered []string
	for d := range descriptions {
		registered = append(registered, regexp.MustCompile("stsbackup_[a-z_]+").FindString(d.String()))
	}
	slices.Sort(named)
	slices.Sort(registered)
	if diff := cmp.Diff(registered, named); diff != "" {
		t.Errorf("registered, and named in docs/scheduler.md (-registered +named):\n%s", diff)
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change         func(*shown)
		healthy, ready bool
		says           string
	}{
		"all is well":           {func(*shown) {}, true, true, "note leading\n"},
		"another leads":         {func(s *shown) { s.status = scheduler.Status{} }, true, true, "note another scheduler leads"},
		"the loop is still":     {func(s *shown) { s.status.Ticked = s.now.Add(-4 * time.Minute) }, false, true, "leading"},
		"nobody reads the file": {func(s *shown) { s.policies.Read = s.now.Add(-4 * time.Minute) }, false, true, "leading"},
		"no policies yet":       {func(s *shown) { s.policies.Loaded = time.Time{} }, true, false, "FAIL policies loaded"},
		"cluster unknown": {
			func(s *shown) { s.synced, s.problem = false, errors.New("statefulsets.apps is forbidden") }, true, false, "note statefulsets.apps " +
				"is forbidden",
		},
		"a watch broke off once": {func(s *shown) { s.problem = errors.New("eof") }, true, true, "ok   StatefulSets known\nnote leading"},
		"bucket down": {
			func(s *shown) {
				s.status.BucketFailing, s.status.BucketError = s.now.Add(-time.Hour), "connection refused"
			}, true, true,
			"note leading; the bucket has not answered since 2026-11-21T11:00:00Z: connection refused",
		},
		"root password wrong": {
			func(s *shown) {
				s.status.PasswordFailing, s.status.PasswordError = s.now.Add(-time.Hour), "wrong password"
			}, true, true,
			"note leading; the bucket answers, but the root password has opened no repository since 2026-11-21T11:00:00Z: wrong password",
		},
		"file wrong": {func(s *shown) { s.policies.Error = "policies.yaml:3: wrong" }, true, true, "the one before is in force: " +
			"policies.yaml:3: wrong"},
	} {
		s := newShown()
		test.change(s)
		for path, want := range map[string]bool{"/healthz": test.healthy, "/readyz": test.ready} {
			code, text := s.get(t, path)
			if (code == http.StatusOK) != want || path == "/readyz" && !strings.Contains(text, test.says) {
				t.Errorf("%s: %s answers %d\n%s", name, path, code, text)
			}
		}
	}
}

// TestServe: Serve answers until its context ends, and not longer.
func TestServe(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Serve(ctx, listener, http.NotFoundHandler()) }()
	response, err := http.Get("http://" + listener.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("%v, %d", err, response.StatusCode)
	}
	_ = response.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
