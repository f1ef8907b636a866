package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// standstill is how long a loop may stand still. The slowest one goes round each minute.
const standstill = 3 * time.Minute

// Handler serves /metrics, /healthz and /readyz.
func Handler(source Source) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		&collector{source: source, metrics: newMetrics()},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, source.health()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, source.readiness()) })
	return mux
}

// report is what a probe answers, with a line for each thing.
type report struct {
	lines  []string
	failed bool
}

func (r *report) say(ok bool, format string, args ...any) {
	mark := "ok   "
	if !ok {
		mark, r.failed = "FAIL ", true
	}
	r.lines = append(r.lines, mark+fmt.Sprintf(format, args...))
}

// note adds a line that is no reason to fail.
func (r *report) note(format string, args ...any) {
	r.lines = append(r.lines, "note "+fmt.Sprintf(format, args...))
}

func answer(w http.ResponseWriter, r report) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.failed {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	for _, line := range r.lines {
		fmt.Fprintln(w, line)
	}
}

// health says whether the scheduler's loops go round.
func (s Source) health() report {
	var r report
	now := s.Now()
	if read := s.Policies().Read; !read.IsZero() {
		still := now.Sub(read)
		r.say(still < standstill, "policy file read %s ago", still.Round(time.Second))
	}
	status := s.Status()
	if !status.Leading || status.Ticked.IsZero() {
		r.say(true, "not leading")
		return r
	}
	still := now.Sub(status.Ticked)
	r.say(still < standstill, "leading, loop went round %s ago", still.Round(time.Second))
	return r
}

// readiness says whether the scheduler knows what it has to do.
func (s Source) readiness() report {
	var r report
	policies, status := s.Policies(), s.Status()
	r.say(!policies.Loaded.IsZero(), "policies loaded (%d)", policies.Policies)
	if policies.Error != "" {
		r.note("the policy file was rejected, the one before is in force: %s", policies.Error)
	}
	synced := s.Synced()
	r.say(synced, "StatefulSets known")
	if err := s.Problem(); err != nil && !synced {
		r.note("%s", err)
	}
	switch {
	case !status.Leading:
		r.note("another scheduler leads, or none yet")
	case !status.PasswordFailing.IsZero():
		r.note("leading; the bucket answers, but the root password has opened no repository since %s: %s",
			status.PasswordFailing.UTC().Format(time.RFC3339), status.PasswordError)
	case status.BucketFailing.IsZero():
		r.note("leading")
	default:
		r.note("leading; the bucket has not answered since %s: %s", status.BucketFailing.UTC().Format(time.RFC3339), status.BucketError)
	}
	return r
}

// Serve answers requests until ctx ends.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	const patience = 10 * time.Second
	server := &http.Server{Handler: handler, ReadHeaderTimeout: patience, WriteTimeout: time.Minute}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // clients that are still connected have waited long enough
		}
	})
	err := server.Serve(listener)
	if !stop() {
		<-done
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve metrics and probes: %w", err)
}
