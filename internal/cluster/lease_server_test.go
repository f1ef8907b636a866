package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// leaseServer keeps one Lease like an API server does, with versions and UIDs, which client-go's fake does not
// compare. Each client has its own way to it, on which requests and answers take their time, or are cut off.
type leaseServer struct {
	mutex   sync.Mutex
	lease   *coordinationv1.Lease
	version int
	ways    map[*Client]*way
	hanging string // a verb that is never answered
	pending sync.WaitGroup
}

// way is one client's way to the server.
type way struct {
	kubernetes.Interface
	coordinationclient.CoordinationV1Interface
	coordinationclient.LeaseInterface
	server *leaseServer
	cut    bool
	// request and answer are how long the next request and its answer take.
	request, answer func() time.Duration
}

// newLeaseServer returns a leaseServer whose requests have all ended when the test ends.
func newLeaseServer(t *testing.T) *leaseServer {
	s := &leaseServer{ways: map[*Client]*way{}}
	t.Cleanup(s.pending.Wait)
	return s
}

func (s *leaseServer) client() *Client {
	none := func() time.Duration { return 0 }
	w := &way{server: s, request: none, answer: none}
	c := &Client{Kube: w, Relist: time.Second}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.ways[c] = w
	return c
}

func (s *leaseServer) cut(c *Client, cut bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.ways[c].cut = cut
}

func (s *leaseServer) slow(c *Client, request, answer time.Duration) {
	s.delay(c, func() time.Duration { return request }, func() time.Duration { return answer })
}

func (s *leaseServer) delay(c *Client, request, answer func() time.Duration) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.ways[c].request, s.ways[c].answer = request, answer
}

func (s *leaseServer) hang(verb string) { s.hanging = verb }

// put makes somebody hold the Lease.
func (s *leaseServer) put(holder string) {
	lease := (&Client{}).newLease(testOperation(), LeaseOptions{Holder: holder})
	lease.UID = "by hand"
	s.store(lease)
}

func (s *leaseServer) holder() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.lease == nil {
		return ""
	}
	return holderOf(s.lease)
}

func (s *leaseServer) store(lease *coordinationv1.Lease) *coordinationv1.Lease {
	s.version++
	s.lease = lease.DeepCopy()
	s.lease.ResourceVersion = fmt.Sprint(s.version)
	return s.lease.DeepCopy()
}

// do carries out a request, and goes on even when nobody waits for it any more.
func (w *way) do(ctx context.Context, verb string, what func(*leaseServer) (*coordinationv1.Lease, error)) (*coordinationv1.Lease, error) {
	type outcome struct {
		lease *coordinationv1.Lease
		err   error
	}
	done := make(chan outcome, 1)
	w.server.mutex.Lock()
	there, back, cut := w.request(), w.answer(), w.cut
	w.server.mutex.Unlock()
	if cut {
		return nil, fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	}
	if verb == w.server.hanging {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	w.server.pending.Go(func() {
		<-time.After(there)
		w.server.mutex.Lock()
		lease, err := what(w.server)
		w.server.mutex.Unlock()
		<-time.After(back)
		done <- outcome{lease, err}
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case o := <-done:
		return o.lease, o.err
	}
}

// CoordinationV1 and Leases return the way itself.
func (w *way) CoordinationV1() coordinationclient.CoordinationV1Interface { return w }

// Leases returns the way itself.
func (w *way) Leases(string) coordinationclient.LeaseInterface { return w }

func (s *leaseServer) resource() schema.GroupResource {
	return schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
}

// Create makes the Lease.
func (w *way) Create(ctx context.Context, lease *coordinationv1.Lease, _ metav1.CreateOptions) (*coordinationv1.Lease, error) {
	lease = lease.DeepCopy()
	return w.do(ctx, "create", func(s *leaseServer) (*coordinationv1.Lease, error) {
		if s.lease != nil {
			return nil, apierrors.NewAlreadyExists(s.resource(), lease.Name)
		}
		lease.UID = types.UID(fmt.Sprintf("uid-%d", s.version))
		return s.store(lease), nil
	})
}

// Get reads the Lease.
func (w *way) Get(ctx context.Context, name string, _ metav1.GetOptions) (*coordinationv1.Lease, error) {
	return w.do(ctx, "get", func(s *leaseServer) (*coordinationv1.Lease, error) {
		if s.lease == nil {
			return nil, apierrors.NewNotFound(s.resource(), name)
		}
		return s.lease.DeepCopy(), nil
	})
}

// Update changes the Lease. A Lease that is gone has no UID, which is a conflict, as on a real server.
func (w *way) Update(ctx context.Context, lease *coordinationv1.Lease, _ metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	lease = lease.DeepCopy()
	return w.do(ctx, "update", func(s *leaseServer) (*coordinationv1.Lease, error) {
		if s.lease == nil || s.lease.UID != lease.UID || s.lease.ResourceVersion != lease.ResourceVersion {
			return nil, apierrors.NewConflict(s.resource(), lease.Name, errors.New("it is another"))
		}
		return s.store(lease), nil
	})
}

// Delete removes the Lease.
func (w *way) Delete(ctx context.Context, name string, options metav1.DeleteOptions) error {
	_, err := w.do(ctx, "delete", func(s *leaseServer) (*coordinationv1.Lease, error) {
		switch p := options.Preconditions; {
		case s.lease == nil:
			return nil, apierrors.NewNotFound(s.resource(), name)
		case *p.UID != s.lease.UID || *p.ResourceVersion != s.lease.ResourceVersion:
			return nil, apierrors.NewConflict(s.resource(), name, errors.New("it is another"))
		}
		s.lease = nil
		return nil, nil
	})
	return err
}

// List lists the Lease.
func (w *way) List(ctx context.Context, _ metav1.ListOptions) (*coordinationv1.LeaseList, error) {
	lease, err := w.Get(ctx, "", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return &coordinationv1.LeaseList{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &coordinationv1.LeaseList{Items: []coordinationv1.Lease{*lease}}, nil
}

// Watch sees nothing: clients that watch list again after a while.
func (w *way) Watch(context.Context, metav1.ListOptions) (watch.Interface, error) {
	return watch.NewFake(), nil
}
