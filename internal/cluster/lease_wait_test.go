package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLeaseStepsAside: a holder that steps aside cleans up, gives the Lease to somebody who waits, and learns why.
func TestLeaseStepsAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseServer(t)
		c := server.client()
		backup, err := server.client().Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "the scheduler", StepsAside: true})
		if err != nil {
			t.Fatal(err)
		}
		const cleaning = 20 * time.Second
		ended := make(chan error, 1)
		go func() {
			<-backup.Context().Done()
			if backup.Lost() != nil || !backup.Believed() {
				t.Errorf("it has to clean up under its Lease: %v", backup.Lost())
			}
			<-time.After(cleaning)
			ended <- backup.Release(t.Context())
		}()
		begun := time.Now()
		var told []string
		restore, err := c.Acquire(
			t.Context(),
			testOperation(),
			LeaseOptions{Holder: "a person", Wait: time.Hour, Waiting: func(m string) { told = append(told, m) }},
		)
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begun); waited < cleaning || waited > cleaning+2*leaseRenewal+3*leaseRetry {
			t.Errorf("waited %s", waited)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		aside := backup.SteppedAside()
		if !errors.Is(aside, ErrSteppedAside) || !errors.Is(aside, ErrBusy) || !strings.Contains(aside.Error(), "a person") {
			t.Errorf("why it ended: %v", aside)
		}
		if len(told) != 2 || !strings.Contains(told[1], "held by the scheduler: it has been asked to step aside, for up to ") {
			t.Errorf("told %q", told)
		}
		if err := restore.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLeaseIsWaitedFor: a newcomer waits for a holder that does not step aside, and does not disturb it; the wait is bounded.
func TestLeaseIsWaitedFor(t *testing.T) {
	for name, tt := range map[string]struct {
		wait, ends time.Duration
		refused    bool
	}{
		"long enough":     {time.Minute, 40 * time.Second, false},
		"not long enough": {30 * time.Second, 40 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newLeaseServer(t)
				c := server.client()
				other, err := server.client().Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "another person"})
				if err != nil {
					t.Fatal(err)
				}
				released := make(chan error, 1)
				time.AfterFunc(tt.ends, func() {
					if other.Context().Err() != nil {
						t.Errorf("it was not left in peace: %v", context.Cause(other.Context()))
					}
					released <- other.Release(context.Background())
				})
				begun := time.Now()
				lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us", Wait: tt.wait})
				if errors.Is(err, ErrBusy) != tt.refused || err != nil && !tt.refused {
					t.Fatal(err)
				}
				if waited := time.Since(begun); waited > min(tt.wait, tt.ends)+leaseRenewal+leaseRetry {
					t.Errorf("waited %s", waited)
				}
				if err := <-released; err != nil {
					t.Error(err)
				}
				if lease != nil {
					if err := lease.Release(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// TestLeaseWantedByAStranger: the annotation alone does not end a holder that has not said that it steps aside.
func TestLeaseWantedByAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLeaseServer(t).client()
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "a person"})
		if err != nil {
			t.Fatal(err)
		}
		object, err := c.getLease(t.Context(), "demo", "stsbackup-web")
		if err != nil {
			t.Fatal(err)
		}
		object.Annotations[AnnotationWanted] = "somebody"
		if _, err := c.updateLease(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if lease.Context().Err() != nil || lease.SteppedAside() != nil {
			t.Errorf("%v", context.Cause(lease.Context()))
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
