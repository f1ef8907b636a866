package leader

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// candidate is one scheduler, with its own connection to the API server.
type candidate struct {
	kubernetes.Interface
	coordinationclient.CoordinationV1Interface
	coordinationclient.LeaseInterface
	// cut: the connection is cut off.
	cut atomic.Bool
}

func (c *candidate) CoordinationV1() coordinationclient.CoordinationV1Interface { return c }

func (c *candidate) Leases(namespace string) coordinationclient.LeaseInterface {
	c.LeaseInterface = c.Interface.CoordinationV1().Leases(namespace)
	return &leases{c.LeaseInterface, c}
}

// leases fail for a candidate whose connection is cut off.
type leases struct {
	coordinationclient.LeaseInterface
	of *candidate
}

func (l *leases) fail() error {
	if l.of.cut.Load() {
		return apierrors.NewServiceUnavailable("the API server restarts")
	}
	return nil
}

// Get reads a Lease.
func (l *leases) Get(ctx context.Context, name string, options metav1.GetOptions) (*coordinationv1.Lease, error) {
	if err := l.fail(); err != nil {
		return nil, err
	}
	return l.LeaseInterface.Get(ctx, name, options)
}

// Update changes a Lease. The fake API server of the tests does not compare versions.
func (l *leases) Update(ctx context.Context, lease *coordinationv1.Lease, options metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	if err := l.fail(); err != nil {
		return nil, err
	}
	return l.LeaseInterface.Update(ctx, lease, options)
}

// race is several candidates, and which of them lead.
type race struct {
	t     *testing.T
	kube  kubernetes.Interface
	mutex sync.Mutex
	// leading are those that lead; terms is who has begun to lead, in order.
	leading map[string]bool
	terms   []string
	tooMany bool
	// log is what candidates log. Between two waits nobody logs anything.
	log bytes.Buffer
}

func newRace(t *testing.T, objects ...runtime.Object) *race {
	return &race{t: t, kube: fake.NewClientset(objects...), leading: map[string]bool{}}
}

// run lets a candidate compete until ctx ends. If that happens while it leads, it needs some time to end its work.
func (r *race) run(ctx context.Context, name string, work time.Duration) (*candidate, <-chan error) {
	c, done := &candidate{Interface: r.kube}, make(chan error, 1)
	election := &Election{Kube: c, Namespace: "stsbackup", Identity: name, Log: slog.New(slog.NewTextHandler(&r.log, nil))}
	go func() {
		done <- election.Run(ctx, func(term context.Context) {
			r.note(name, true)
			defer r.note(name, false)
			select {
			case <-term.Done():
			case <-ctx.Done():
				select {
				case <-term.Done():
				case <-time.After(work):
				}
			}
		})
	}()
	return c, done
}

func (r *race) note(name string, leads bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if !leads {
		delete(r.leading, name)
		return
	}
	r.leading[name] = true
	r.terms = append(r.terms, name)
	r.tooMany = r.tooMany || len(r.leading) > 1
}

// expect checks who leads.
func (r *race) expect(what string, names ...string) {
	r.t.Helper()
	synctest.Wait()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	ok := len(names) == len(r.leading)
	for _, name := range names {
		ok = ok && r.leading[name]
	}
	if !ok || r.tooMany {
		r.t.Errorf("%s: %v lead, want %v; two at once: %v; so far %v", what, r.leading, names, r.tooMany, r.terms)
	}
}

func elapse(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the clock of the bubble
}

// TestOneLeads: if the first cannot renew, the other one takes over, but not before the first has stopped.
func TestOneLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRace(t)
		ctx, cancel := context.WithCancel(t.Context())
		first, firstDone := r.run(ctx, "first", 0)
		elapse(time.Second)
		_, secondDone := r.run(ctx, "second", 0)
		elapse(2 * time.Minute)
		r.expect("the first renews", "first")
		first.cut.Store(true)
		elapse(duration + 2*2*period)
		r.expect("the first is cut off", "second")
		first.cut.Store(false)
		elapse(time.Minute)
		r.expect("the first is back", "second")
		cancel()
		if err := errors.Join(<-firstDone, <-secondDone); err != nil {
			t.Error(err)
		}
	})
}

// TestShortOutage: if nobody can reach the API server for less than the deadline, nothing changes; after a longer
// outage somebody leads again.
func TestShortOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRace(t)
		ctx, cancel := context.WithCancel(t.Context())
		first, done := r.run(ctx, "first", 0)
		elapse(time.Minute)
		first.cut.Store(true)
		elapse(deadline - 2*period)
		first.cut.Store(false)
		elapse(time.Minute)
		r.expect("a short outage", "first")
		told := func(what string, want int) {
			t.Helper()
			const text = `msg="the leadership is lost: its Lease could not be renewed for 10s; whoever leads next tries again what is cancelled ` +
				`now" error="the API server restarts"`
			if got := strings.Count(r.log.String(), text); got != want || strings.Count(r.log.String(), "is lost") != want {
				t.Errorf("%s: told %d times, want %d:\n%s", what, got, want, &r.log)
			}
		}
		told("a short outage", 0)
		if len(r.terms) != 1 {
			t.Errorf("%d terms", len(r.terms))
		}
		first.cut.Store(true)
		elapse(deadline + 2*period)
		r.expect("a long outage")
		told("a long outage", 1)
		first.cut.Store(false)
		elapse(time.Minute)
		r.expect("after it", "first")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		told("the end", 1)
	})
}

// TestStopWhileLeading: a leader that is told to stop keeps the Lease until its work has ended, and then gives it back.
func TestStopWhileLeading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRace(t)
		stopping, stop := context.WithCancel(t.Context())
		_, firstDone := r.run(stopping, "first", time.Minute)
		elapse(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		_, secondDone := r.run(ctx, "second", 0)
		elapse(time.Minute)
		stop()
		elapse(50 * time.Second)
		r.expect("it ends its work", "first")
		elapse(15*time.Second + 2*period)
		r.expect("its work has ended", "second")
		if err := <-firstDone; err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-secondDone; err != nil {
			t.Error(err)
		}
	})
}

// TestStopWhileWaiting: a candidate that does not lead stops at once.
func TestStopWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := metav1.NewMicroTime(time.Now())
		r := newRace(t, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "stsbackup", Name: LeaseName},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity:       new("other"),
				LeaseDurationSeconds: new(int32(3600)),
				RenewTime:            &now,
				AcquireTime:          &now,
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		_, done := r.run(ctx, "first", time.Hour)
		elapse(time.Minute)
		r.expect("another one leads")
		begun := time.Now()
		cancel()
		if err := <-done; err != nil || time.Since(begun) > 0 || len(r.terms) != 0 {
			t.Errorf("%v after %s, %v", err, time.Since(begun), r.terms)
		}
	})
}
