package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/retention"
)

// world is a bucket, a cluster and a policy file, which outlive every scheduler. Its time is that of the synctest
// bubble.
type world struct {
	mutex  sync.Mutex
	points map[Name][]Point
	// takes is how long a backup takes, and fail its error; tests may change both while the scheduler runs.
	takes time.Duration
	fail  func(of Name) error
	// down is the error that the bucket answers.
	down error
	// broken holds the errors that single repositories answer.
	broken map[Name]error
	// upkeepFails is the error of prune and verify, verifyFails of verify alone.
	upkeepFails, verifyFails error
	forgetFails              error
	// aside says for each volume that is set aside since when; discardFails is the error of a discard.
	aside        map[Name][]time.Time
	discardFails error
	asideFails   error

	// pointsTake is the additional time that listing a StatefulSet's recovery points takes.
	pointsTake map[Name]time.Duration

	calls map[string]int // by verb and StatefulSet
	// first is when something was first requested, and asked what the last request asked for.
	first map[string]time.Time
	asked map[string]any
	// running counts the backups that run, and most the most that ran at once: overall and by namespace. They also
	// count listings ("points ") and the prunes and verifications ("upkeep ").
	running map[string]int
	most    map[string]int
	order   []string
	events  []string
	log     strings.Builder

	sets    map[Name]StatefulSet
	changed chan struct{}

	loaded         Loaded
	policiesChange chan struct{}
	now            func() time.Time
}

func newWorld(t *testing.T, policies string, sets ...string) *world {
	t.Helper()
	w := &world{
		points:         map[Name][]Point{},
		takes:          5 * time.Second,
		fail:           func(Name) error { return nil },
		calls:          map[string]int{},
		running:        map[string]int{},
		most:           map[string]int{},
		sets:           map[Name]StatefulSet{},
		first:          map[string]time.Time{},
		asked:          map[string]any{},
		changed:        make(chan struct{}, 1),
		policiesChange: make(chan struct{}, 1),
		now:            time.Now,
	}
	for _, set := range sets {
		w.add(set, "")
	}
	w.load(t, policies)
	return w
}

// load replaces the policies by this list of policies.
func (w *world) load(t *testing.T, policies string) {
	t.Helper()
	file, err := policy.Parse(
		"policies.yaml",
		[]byte("apiVersion: stsbackup.io/v1\nkind: Policies\nrepository: s3://b\npolicies:\n"+policies),
		nil,
	)
	if err != nil {
		t.Fatal(err)
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.loaded = Loaded{File: file, Operations: w}
	signal(w.policiesChange)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add adds a StatefulSet that was created long ago, with a policy annotation if one is given.
func (w *world) add(name, annotation string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	namespace, set, _ := strings.Cut(name, "/")
	found := StatefulSet{StatefulSet: policy.StatefulSet{Namespace: namespace, Name: set}, UID: name, Created: time.Unix(0, 0)}
	if annotation != "" {
		found.Annotations = map[string]string{policy.Annotation: annotation}
	}
	w.sets[Name{namespace, set}] = found
	signal(w.changed)
}

func (w *world) remove(name Name) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	delete(w.sets, name)
	signal(w.changed)
}

// scheduler makes one more scheduler in this world.
func (w *world) scheduler() *Scheduler {
	return &Scheduler{
		Cluster: clusterOf{w}, Policies: w, Limits: Limits{Overall: 4, PerNamespace: 4, Upkeep: 1}, Grace: time.Minute,
		Now: func() time.Time { return w.now() }, Log: slog.New(slog.NewJSONHandler(w, nil)), Events: w,
	}
}

// lead lets a new scheduler lead for some time, and then takes its leadership away. It returns its last status before
// that.
func (w *world) lead(t *testing.T, forTime time.Duration) Status {
	t.Helper()
	s := w.scheduler()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Lead(ctx, nil)
	}()
	time.Sleep(forTime) //nolint:forbidigo // the clock of the bubble
	synctest.Wait()
	status := s.Status()
	cancel()
	<-done
	return status
}

// count is how often something was requested.
func (w *world) count(what string) int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.calls[what]
}

func (w *world) note(verb string, of Name) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if what := verb + " " + of.String(); w.calls[what] == 0 {
		w.first[what] = w.now()
	}
	w.calls[verb+" "+of.String()]++
	w.calls[verb]++
}

// runs counts what runs at once, until the caller calls end.
func (w *world) runs(keys ...string) (end func()) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, key := range keys {
		w.running[key]++
		w.most[key] = max(w.most[key], w.running[key])
	}
	return func() {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		for _, key := range keys {
			w.running[key]--
		}
	}
}

// answer is what the bucket answers.
func (w *world) answer(ctx context.Context) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return errors.Join(w.down, ctx.Err())
}

// Points implements Operations.
func (w *world) Points(ctx context.Context, of Name) ([]Point, error) {
	w.note("points", of)
	defer w.runs("points ")()
	if err := pass(ctx, 100*time.Millisecond+w.pointsTake[of]); err != nil {
		return nil, err
	}
	if err := w.answer(ctx); err != nil {
		return nil, err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return slices.Clone(w.points[of]), w.broken[of]
}

// Backup implements Operations.
func (w *world) Backup(ctx context.Context, of Name, options policy.Backup) (Result, error) {
	w.note("backup", of)
	w.mutex.Lock()
	begun, takes, fail := w.now(), w.takes, w.fail
	w.order = append(w.order, of.String())
	w.asked["backup"] = options
	w.mutex.Unlock()
	defer w.runs("", of.Namespace)()
	if err := fail(of); err != nil {
		return Result{}, err
	}
	if err := errors.Join(pass(ctx, takes), w.answer(ctx)); err != nil {
		w.note("backup ended", of)
		return Result{}, err
	}
	return w.made(of, begun, true), nil
}

// made puts a recovery point into the bucket.
func (w *world) made(of Name, begun time.Time, complete bool) Result {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	p := Point{ID: fmt.Sprint(begun.Unix()), Started: begun.Round(0), Finished: w.now().Round(0), Complete: complete}
	w.points[of] = append(w.points[of], p)
	return Result{Point: p, Phases: map[string]time.Duration{"move": w.takes}, BytesRead: 1000, BytesStored: 10}
}

// Forget implements Operations. It keeps the newest recovery points.
func (w *world) Forget(_ context.Context, of Name, rules retention.Rules, zone *time.Location) (int, error) {
	w.note("forget", of)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.asked["forget"] = fmt.Sprint(rules.Last, " in ", zone)
	if w.forgetFails != nil {
		return 0, w.forgetFails
	}
	removed := max(0, len(w.points[of])-rules.Last)
	w.points[of] = w.points[of][removed:]
	return removed, nil
}

// Prune implements Operations.
func (w *world) Prune(ctx context.Context, of Name) error { return w.upkeep(ctx, "prune", of) }

// Verify implements Operations.
func (w *world) Verify(ctx context.Context, of Name, readData float64) error {
	w.set(func() { w.asked["verify"] = readData })
	return w.upkeep(ctx, "verify", of)
}

func (w *world) upkeep(ctx context.Context, verb string, of Name) error {
	w.note(verb, of)
	defer w.runs("upkeep ")()
	err := pass(ctx, 10*time.Second)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if verb == "verify" {
		err = errors.Join(err, w.verifyFails)
	}
	return errors.Join(err, w.upkeepFails)
}

// Displaced implements Operations.
func (w *world) Displaced(ctx context.Context) (map[Name]Displaced, error) {
	w.note("displaced", Name{})
	w.mutex.Lock()
	defer w.mutex.Unlock()
	of := map[Name]Displaced{}
	for name, times := range w.aside {
		if len(times) > 0 {
			of[name] = Displaced{Volumes: len(times), Bytes: int64(len(times)) << 30, Oldest: slices.MinFunc(times, time.Time.Compare)}
		}
	}
	return of, errors.Join(w.asideFails, ctx.Err())
}

// Discard implements Operations.
func (w *world) Discard(ctx context.Context, of Name, before time.Time) (Discarded, error) {
	w.note("discard", of)
	defer w.runs("upkeep ")()
	if err := pass(ctx, 10*time.Second); err != nil {
		return Discarded{}, err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.asked["discard"] = before
	if w.discardFails != nil {
		return Discarded{}, w.discardFails
	}
	var freed Discarded
	w.aside[of] = slices.DeleteFunc(w.aside[of], func(at time.Time) bool {
		old := at.Before(before)
		if old {
			freed.Volumes, freed.Bytes = append(freed.Volumes, "pv-"+at.UTC().Format("0102")), freed.Bytes+1<<30
		}
		return old
	})
	return freed, nil
}

// pass lets time pass.
func pass(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// clusterOf turns a world into a Cluster.
type clusterOf struct{ *world }

func (c clusterOf) StatefulSets() []StatefulSet {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return slices.Collect(maps.Values(c.sets))
}

func (c clusterOf) Changed() <-chan struct{} { return c.changed }

// Current and Changed implement Source.
func (w *world) Current() Loaded {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.loaded
}

// Changed tells of changes to the policies.
func (w *world) Changed() <-chan struct{} { return w.policiesChange }

// Warn and Note implement Events.
func (w *world) Warn(about StatefulSet, reason, text string) { w.event("Warning", about, reason, text) }

// Note records an Event that is no warning.
func (w *world) Note(about StatefulSet, reason, text string) { w.event("Normal", about, reason, text) }

func (w *world) event(kind string, about StatefulSet, reason, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.events = append(w.events, fmt.Sprintf("%s %s/%s %s %s", kind, about.Namespace, about.Name, reason, text))
}

// Write collects the log.
func (w *world) Write(p []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.log.Write(p)
}

// set changes the world while a scheduler runs.
func (w *world) set(change func()) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	change()
}

// hasEvents checks that the Events so far begin with the wanted ones, and forgets them.
func (w *world) hasEvents(t *testing.T, want ...string) {
	t.Helper()
	w.mutex.Lock()
	defer w.mutex.Unlock()
	ok := len(want) == len(w.events)
	for i := 0; ok && i < len(want); i++ {
		ok = strings.HasPrefix(w.events[i], want[i])
	}
	if !ok {
		t.Errorf("Events:\n%s\nwant:\n%s", strings.Join(w.events, "\n"), strings.Join(want, "\n"))
	}
	w.events = nil
}
