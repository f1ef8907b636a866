package cluster

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// outage makes every request about Leases fail with err while it lasts.
func outage(kube *fake.Clientset, err error) (away *atomic.Bool) {
	away = new(atomic.Bool)
	kube.PrependReactor("*", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		return away.Load(), nil, err
	})
	return away
}

// TestLeaseOutlivesAnOutage: nobody else could take the Lease while the API server was away, so its holder goes on.
func TestLeaseOutlivesAnOutage(t *testing.T) {
	leases := schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
	stray := apierrors.NewGenericServerResponse(404, "put", leases, "stsbackup-web", "default backend", 0, true)
	for name, tt := range map[string]struct {
		err  error
		d    time.Duration
		says string
	}{
		"half a minute":   {apierrors.NewServiceUnavailable("down"), 30 * time.Second, "the API server does not answer"},
		"ten minutes":     {apierrors.NewServiceUnavailable("down"), 10 * time.Minute, "the API server does not answer"},
		"nearly too long": {apierrors.NewServiceUnavailable("down"), outageLimit - time.Minute, "the API server does not answer"},
		"refused as it comes back": {
			apierrors.NewForbidden(leases, "stsbackup-web", errors.New("no roles yet")), time.Minute,
			"does not renew the Lease stsbackup-web",
		},
		"somebody else's not found": {stray, time.Minute, "does not renew the Lease stsbackup-web"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, kube, _ := fakeCluster()
				away := outage(kube, tt.err)
				told := make(chan string, 10)
				lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us", Waiting: func(m string) { told <- m }})
				if err != nil {
					t.Fatal(err)
				}
				<-time.After(time.Minute)
				away.Store(true)
				begun := time.Now()
				if message := <-told; !strings.Contains(message, tt.says) || !strings.Contains(message, "15m0s") || time.Since(begun) > 10*time.Second {
					t.Errorf("was told %q after %s, want %q", message, time.Since(begun), tt.says)
				}
				if lease.Believed() {
					t.Error("a Lease that was not renewed for as long as others wait is believed in")
				}
				<-time.After(tt.d - time.Since(begun))
				away.Store(false)
				if err := lease.awaitBelief(t.Context()); err != nil {
					t.Fatal(err)
				}
				if message := <-told; !strings.Contains(message, "answers again") {
					t.Errorf("was told %q", message)
				}
				if took := time.Since(begun); took > tt.d+2*leaseRetry || lease.Lost() != nil || lease.Context().Err() != nil {
					t.Errorf(
						"believed in again after %s of an outage of %s; lost: %v; the context ends by %v",
						took,
						tt.d,
						lease.Lost(),
						context.Cause(lease.Context()),
					)
				}
				if err := lease.Release(t.Context()); err != nil || leaseOf(t, c) != nil || len(told) > 0 {
					t.Errorf("release: %v; left %v; %d more notes", err, leaseOf(t, c), len(told))
				}
			})
		})
	}
}

// TestLeaseIsTakenInAnOutage: a holder that comes back finds somebody else there.
func TestLeaseIsTakenInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseServer(t)
		ours, theirs := server.client(), server.client()
		first, err := ours.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "first"})
		if err != nil {
			t.Fatal(err)
		}
		server.cut(ours, true)
		second, err := theirs.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "second"})
		if err != nil || first.Believed() || !second.Believed() {
			t.Fatalf("%v; the first believes: %t", err, first.Believed())
		}
		if first.Lost() != nil || first.Context().Err() != nil {
			t.Errorf("lost before anybody could see it: %v", first.Lost())
		}
		server.cut(ours, false)
		<-first.Context().Done()
		if lost := first.Lost(); lost == nil || !strings.Contains(lost.Error(), "held by second") {
			t.Errorf("lost: %v", lost)
		}
		for _, lease := range []*Lease{first, second} {
			if err := lease.Release(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestNewcomerCountsWhatItSees: an outage does not show that a holder is dead. After it, the holder comes first.
func TestNewcomerCountsWhatItSees(t *testing.T) {
	for _, d := range []time.Duration{10 * time.Second, 20 * time.Second, 100 * time.Second} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newLeaseServer(t)
				ours, theirs := server.client(), server.client()
				first, err := ours.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "first"})
				if err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(4*time.Second, func() {
					server.cut(ours, true)
					server.cut(theirs, true)
				})
				// The holder comes back a little later than the newcomer.
				time.AfterFunc(4*time.Second+d, func() { server.cut(theirs, false) })
				time.AfterFunc(8*time.Second+d, func() { server.cut(ours, false) })
				if _, err := theirs.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "second"}); !errors.Is(err, ErrBusy) {
					t.Errorf("%v, want that it is busy", err)
				}
				if err := first.Release(t.Context()); err != nil || first.Lost() != nil {
					t.Errorf("%v, lost: %v", err, first.Lost())
				}
			})
		})
	}
}

// TestBeliefCountsFromSending: a late answer tells the state at the time of the request, at the earliest.
func TestBeliefCountsFromSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseServer(t)
		c := server.client()
		server.slow(c, 0, 8*time.Second)
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
		if err != nil || !lease.Believed() {
			t.Fatalf("%v; believed in: %t", err, lease.Believed())
		}
		server.cut(c, true)
		<-time.After(2 * time.Second)
		if lease.Believed() {
			t.Errorf("still believed in %s after the request was sent", leaseBelief)
		}
		server.cut(c, false)
		server.slow(c, 0, 0)
		if err := lease.awaitBelief(t.Context()); err != nil {
			t.Fatal(err)
		}
		server.slow(c, 4*time.Second, 4*time.Second)
		<-time.After(time.Minute)
		believed := time.Duration(0)
		for range 900 {
			<-time.After(100 * time.Millisecond)
			if lease.Believed() {
				believed += 100 * time.Millisecond
			}
		}
		// Every nine seconds there is an answer to a request sent eight seconds before, which is good for two more seconds.
		if believed < 18*time.Second || believed > 22*time.Second {
			t.Errorf("believed in for %s of 90 seconds, want 20", believed)
		}
		server.slow(c, 0, 0)
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestAcquireGivesUp on an API server that takes requests and does not answer.
func TestAcquireGivesUp(t *testing.T) {
	for name, prepare := range map[string]func(*leaseServer, *Client){
		"create":    func(s *leaseServer, c *Client) { s.slow(c, 0, time.Hour) },
		"get":       func(s *leaseServer, c *Client) { s.put("dead"); s.hang("get") },
		"take over": func(s *leaseServer, c *Client) { s.put("dead"); s.hang("update") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newLeaseServer(t)
				c := server.client()
				prepare(server, c)
				begun := time.Now()
				_, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
				if took := time.Since(begun); !errors.Is(err, errNoAnswer) || took > leaseDuration+2*leaseAnswer {
					t.Errorf("%v after %s", err, took)
				}
			})
		})
	}
}

// TestAcquireTakesWhatIsOurs: the answer to our request was late, and the Lease has been ours since.
func TestAcquireTakesWhatIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseServer(t)
		c := server.client()
		server.put("us")
		begun := time.Now()
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
		if err != nil || time.Since(begun) > time.Second {
			t.Fatalf("%v after %s", err, time.Since(begun))
		}
		if err := lease.Release(t.Context()); err != nil || server.holder() != "" {
			t.Errorf("%v; held by %q", err, server.holder())
		}
	})
}

// TestGraceDoesNotCountAnOutage: an operation cleans up even if the API server is away when it ends.
func TestGraceDoesNotCountAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster()
		away := outage(kube, apierrors.NewServiceUnavailable("down"))
		ctx, cancel := context.WithCancel(t.Context())
		lease, err := c.Acquire(ctx, testOperation(), LeaseOptions{Holder: "us"})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		away.Store(true)
		begun := time.Now()
		grace, end := lease.Grace(ctx, time.Minute)
		defer end()
		<-time.After(10 * time.Minute)
		away.Store(false)
		if err := lease.awaitBelief(grace); err != nil {
			t.Fatal(err)
		}
		<-grace.Done()
		if took := time.Since(begun); !errors.Is(context.Cause(grace), context.DeadlineExceeded) || took < 10*time.Minute+45*time.Second ||
			took > 11*time.Minute+leaseBelief {
			t.Errorf("ended by %v after %s, want a minute that the outage of ten minutes does not count in", context.Cause(grace), took)
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestGraceIsLimited: Grace lasts for its limit if nothing is wrong.
func TestGraceIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := fakeCluster()
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		grace, end := lease.Grace(t.Context(), time.Minute)
		defer end()
		<-grace.Done()
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("ended after %s", took)
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestMoverStartsAfterAnOutage: time in which nobody could start the mover does not count.
func TestMoverStartsAfterAnOutage(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "for 5m", 6 * time.Minute: ""} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, kube, _ := fakeCluster(boundClaim())
				creating := waitingFor("ContainerCreating", "")
				playPodsEvery(kube, 3*time.Minute, creating, creating, running, terminated(0, "Completed", "result"))
				away := outage(kube, apierrors.NewServiceUnavailable("down"))
				lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
				if err != nil {
					t.Fatal(err)
				}
				away.Store(d > 0)
				time.AfterFunc(d, func() { away.Store(false) })
				_, err = c.RunMover(lease.Context(), MoverConfig{}, testMover(), nil)
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
				<-time.After(15 * time.Minute) // the kubelet has ended
				if err := lease.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestReleaseInAnOutage: Release ends, and says what is left.
func TestReleaseInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster()
		away := outage(kube, apierrors.NewServiceUnavailable("down"))
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
		if err != nil {
			t.Fatal(err)
		}
		away.Store(true)
		time.AfterFunc(2*time.Second, func() { away.Store(false) })
		if err := lease.Release(t.Context()); err != nil || lease.Believed() {
			t.Errorf("a short outage: %v", err)
		}
		if _, err := c.Kube.CoordinationV1().Leases("demo").Get(t.Context(), "stsbackup-web", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the Lease is left: %v", err)
		}
		if lease, err = c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"}); err != nil {
			t.Fatal(err)
		}
		away.Store(true)
		if err := lease.Release(t.Context()); err == nil || !strings.Contains(err.Error(), "delete Lease demo/stsbackup-web: ") {
			t.Errorf("a long one: %v", err)
		}
	})
}
