package cluster

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	snapshotfake "github.com/kubernetes-csi/external-snapshotter/client/v6/clientset/versioned/fake"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// fakeCluster is a Client without a cluster. Its time is that of the synctest bubble.
func fakeCluster(objects ...runtime.Object) (*Client, *fake.Clientset, *snapshotfake.Clientset) {
	kube, snapshots := fake.NewClientset(objects...), snapshotfake.NewSimpleClientset()
	return &Client{Kube: kube, Snapshots: snapshots, Relist: time.Second}, kube, snapshots
}

func leaseOf(t *testing.T, c *Client) *coordinationv1.Lease {
	t.Helper()
	lease, err := c.Kube.CoordinationV1().Leases("demo").Get(context.Background(), "stsbackup-web", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func TestLeaseHasOneHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := fakeCluster()
		first, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "first"})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		_, err = c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "second"})
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, "first") || refusal.Object != "StatefulSet demo/web" {
			t.Fatalf("second holder: %v, want a refusal that names the first", err)
		}
		if waited := time.Since(begun); waited > leaseRenewal+time.Second {
			t.Errorf("a living holder was noticed only after %s", waited)
		}
		if err := first.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if lease := leaseOf(t, c); lease != nil {
			t.Errorf("Release left %+v", lease)
		}
		if first.Context().Err() == nil {
			t.Error("the context of a released Lease lives on")
		}
	})
}

func TestLeaseOfTheDeadIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster()
		if err := kube.Tracker().Add(c.newLease(testOperation(), LeaseOptions{Holder: "the dead"})); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var waiting []string
		lease, err := c.Acquire(
			t.Context(),
			testOperation(),
			LeaseOptions{Holder: "the living", Waiting: func(m string) { waiting = append(waiting, m) }},
		)
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begun); waited != leaseDuration {
			t.Errorf("waited %s, want %s", waited, leaseDuration)
		}
		if len(waiting) != 1 || !strings.Contains(waiting[0], "the dead") {
			t.Errorf("was told %q, want one message that names the holder", waiting)
		}
		if holder := holderOf(leaseOf(t, c)); holder != "the living" {
			t.Errorf("the Lease is held by %q", holder)
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLeaseThatIsReleasedIsTakenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster()
		held := c.newLease(testOperation(), LeaseOptions{Holder: "about to end"})
		if err := kube.Tracker().Add(held); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		time.AfterFunc(3*time.Second, func() {
			_ = c.Kube.CoordinationV1().Leases("demo").Delete(context.Background(), held.Name, metav1.DeleteOptions{})
		})
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "next"})
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begun); waited > 5*time.Second {
			t.Errorf("waited %s for a Lease that was free after 3s", waited)
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLeaseLostEndsItsContext(t *testing.T) {
	leases := schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
	for name, tt := range map[string]struct {
		update error
		change func(*coordinationv1.Lease) // made by somebody else
		says   string
		after  time.Duration
	}{
		"taken over": {
			update: apierrors.NewConflict(leases, "stsbackup-web", errors.New("changed")),
			change: func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = new("them") }, says: "held by them", after: leaseRenewal,
		},
		"deleted and made again": {
			update: apierrors.NewConflict(leases, "stsbackup-web", errors.New("changed")),
			change: func(l *coordinationv1.Lease) { l.UID = "another" }, says: "made again", after: leaseRenewal,
		},
		"deleted": {update: apierrors.NewNotFound(leases, "stsbackup-web"), says: "it was deleted", after: leaseRenewal},
		"server out of reach for too long": {
			update: apierrors.NewServiceUnavailable("down"), says: "could not be renewed for 15m0s", after: outageLimit,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, kube, _ := fakeCluster()
				lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				if tt.change != nil {
					other := leaseOf(t, c)
					tt.change(other)
					if err := kube.Tracker().Update(coordinationv1.SchemeGroupVersion.WithResource("leases"), other, "demo"); err != nil {
						t.Fatal(err)
					}
				}
				kube.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tt.update })
				grace, cancel := lease.Grace(t.Context(), time.Hour)
				defer cancel()
				<-lease.Context().Done()
				if cause := context.Cause(lease.Context()); !errors.Is(cause, ErrLeaseLost) || !strings.Contains(cause.Error(), tt.says) ||
					lease.Lost() == nil {
					t.Errorf("cause %v (%v), want ErrLeaseLost and %q", cause, lease.Lost(), tt.says)
				}
				if after := time.Since(begun); after != tt.after || lease.Believed() {
					t.Errorf("lost after %s, want %s; believed in: %t", after, tt.after, lease.Believed())
				}
				<-grace.Done()
				if cause := context.Cause(grace); !errors.Is(cause, ErrLeaseLost) {
					t.Errorf("cleaning up ends by %v", cause)
				}
				if err := lease.Release(context.Background()); err != nil {
					t.Error(err)
				}
				if left := leaseOf(t, c); left == nil {
					t.Error("Release deleted a Lease that was not ours any more")
				}
			})
		})
	}
}

func TestLeaseOutlivesAStrangersEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster()
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
		if err != nil {
			t.Fatal(err)
		}
		var conflicts atomic.Int32
		kube.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			if conflicts.Add(1) == 1 {
				return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "leases"}, "stsbackup-web", errors.New("changed"))
			}
			return false, nil, nil
		})
		<-time.After(leaseDuration)
		if conflicts.Load() < 2 || lease.Context().Err() != nil {
			t.Errorf("after %d updates the context says %v", conflicts.Load(), context.Cause(lease.Context()))
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLeaseOutlivesItsContextUntilRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := fakeCluster()
		ctx, cancel := context.WithCancel(t.Context())
		lease, err := c.Acquire(ctx, testOperation(), LeaseOptions{Holder: "us"})
		if err != nil {
			t.Fatal(err)
		}
		before := leaseOf(t, c).Spec.RenewTime.Time
		cancel()
		<-lease.Context().Done()
		<-time.After(leaseDuration)
		if after := leaseOf(t, c).Spec.RenewTime.Time; !after.After(before.Add(leaseDuration - leaseRenewal - time.Second)) {
			t.Errorf("renewed last %s after the start: others would begin while we clean up", after.Sub(before))
		}
		if err := lease.Release(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLeaseIsGivenBackWhateverItsVersion changes the Lease at the moment of its release: by a renewal that was
// given up and carried out all the same, or by somebody who has taken the Lease over.
func TestLeaseIsGivenBackWhateverItsVersion(t *testing.T) {
	for name, tt := range map[string]struct {
		change    func(*coordinationv1.Lease)
		conflicts int
		stays     bool
		err       string
	}{
		"renewed":          {func(*coordinationv1.Lease) {}, 1, false, ""},
		"renewed twice":    {func(*coordinationv1.Lease) {}, 2, false, ""},
		"without end":      {func(*coordinationv1.Lease) {}, 1000, true, "something keeps changing it"},
		"taken":            {func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = new(string) }, 1, true, ""},
		"another's by now": {func(l *coordinationv1.Lease) { l.UID = "another" }, 1, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, kube, _ := fakeCluster()
			lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
			if err != nil {
				t.Fatal(err)
			}
			taken, tried := leaseOf(t, c), 0
			kube.PrependReactor("delete", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
				if tried++; tried > tt.conflicts {
					return false, nil, nil
				}
				now := taken.DeepCopy()
				tt.change(now)
				if err := kube.Tracker().Update(coordinationv1.SchemeGroupVersion.WithResource("leases"), now, "demo"); err != nil {
					t.Error(err)
				}
				return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "leases"}, "stsbackup-web", errors.New("changed"))
			})
			if err := lease.Release(t.Context()); (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("release: %v, want %q", err, tt.err)
			}
			if stays := leaseOf(t, c) != nil; stays != tt.stays {
				t.Errorf("the Lease is there: %t, want %t", stays, tt.stays)
			}
		})
	}
}
