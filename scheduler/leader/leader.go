package leader

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// LeaseName is the name of the Lease. The name of a StatefulSet's Lease begins differently, whatever the StatefulSet is
// called.
const LeaseName = "scheduler.stsbackup.io"

const (
	duration = 15 * time.Second // a leader that has not renewed for this long counts as gone
	deadline = 10 * time.Second // a leader that cannot renew for this long stops
	period   = 2 * time.Second
)

// Election is a scheduler that wants to lead. All fields must be set.
type Election struct {
	Kube kubernetes.Interface
	// Namespace is where the Lease is.
	Namespace string
	// Identity distinguishes this scheduler from all others.
	Identity string
	Log      *slog.Logger
}

// Run competes until ctx ends, and calls lead whenever this scheduler has become the leader. The context of lead ends
// when the leadership is lost. It does not end with the context of Run: then lead should finish by itself, and it keeps
// the Lease until it has. If lead returns while it still leads, Run returns too.
func (e *Election) Run(ctx context.Context, lead func(ctx context.Context)) error {
	for ctx.Err() == nil {
		if err := e.term(ctx, lead); err != nil {
			return err
		}
	}
	return nil
}

// term competes once, and leads once if it wins.
func (e *Election) term(ctx context.Context, lead func(ctx context.Context)) error {
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	var mutex sync.Mutex
	leading, finished := false, make(chan struct{})
	lock := &noting{identity: e.Identity, Interface: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: e.Namespace, Name: LeaseName},
		Client:     e.Kube.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: e.Identity},
	}}
	started := func(term context.Context) {
		defer close(finished)
		mutex.Lock()
		leading = ctx.Err() == nil
		mutex.Unlock()
		if leading {
			lead(term)
		}
		release()
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		Name:            LeaseName,
		LeaseDuration:   duration,
		RenewDeadline:   deadline,
		RetryPeriod:     period,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: started,
			OnStoppedLeading: func() { e.lost(holding, lock) },
			OnNewLeader:      e.meet,
		},
	})
	if err != nil {
		return fmt.Errorf("prepare the election of a leader: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		mutex.Lock()
		defer mutex.Unlock()
		if !leading {
			release()
		}
	})
	defer stop()
	elector.Run(holding)
	if lock.held.Load() {
		<-finished
	}
	return nil
}

// lost is called at the end of a term, and says why the term ended too early.
func (e *Election) lost(holding context.Context, lock *noting) {
	if err := lock.failure.Load(); holding.Err() == nil && lock.held.Load() && err != nil {
		e.Log.Warn(
			"the leadership is lost: its Lease could not be renewed for "+deadline.String()+"; whoever leads next tries again what is "+
				"cancelled now",
			"error",
			(*err).Error(),
		)
	}
}

// meet is called with the identity of the leader.
func (e *Election) meet(identity string) {
	if identity != e.Identity && identity != "" {
		e.Log.Info("another one leads", "leader", identity)
	}
}

// noting is a lock that notes whether it was ever held. The elector returns without saying whether it has started its
// callback in a goroutine; it has if it held the lock. Nor does it say why it could not renew the Lease.
type noting struct {
	resourcelock.Interface
	identity string
	held     atomic.Bool
	// failure is the first error since the last success: later ones may only say that time is over.
	failure atomic.Pointer[error]
}

// Get reads the lock.
func (n *noting) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := n.Interface.Get(ctx)
	n.judge(err)
	return record, raw, err
}

// Create makes the lock, for the holder that the record names.
func (n *noting) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return n.note(record, n.Interface.Create(ctx, record))
}

// Update changes the holder of the lock.
func (n *noting) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return n.note(record, n.Interface.Update(ctx, record))
}

func (n *noting) note(record resourcelock.LeaderElectionRecord, err error) error {
	n.judge(err)
	if err == nil && record.HolderIdentity == n.identity {
		n.held.Store(true)
	}
	return err
}

func (n *noting) judge(err error) {
	if err == nil {
		n.failure.Store(nil)
		return
	}
	n.failure.CompareAndSwap(nil, &err)
}
