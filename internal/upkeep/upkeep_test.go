package upkeep

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// gone are the hosts of movers that have ended; the error names those about which nothing is known.
type gone struct {
	hosts   string
	unknown error
}

func (g gone) Ended(_ context.Context, holders []repository.Holder) ([]repository.Holder, error) {
	var ended []repository.Holder
	for _, h := range holders {
		if strings.Contains(g.hosts, h.Host) {
			ended = append(ended, h)
		}
	}
	return ended, g.unknown
}

// TestLocksInTheWay: Upkeep removes locks of movers that have ended, and waits for others.
func TestLocksInTheWay(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		movers Movers
		wait   time.Duration
		locked bool
		says   string
	}{
		"of a dead mover": {movers: gone{hosts: "pod-1"}, says: "Removed the lock of a dead mover"},
		"of a living one": {movers: gone{hosts: "pod-2"}, locked: true},
		"nobody knows":    {locked: true},
		"it is not known": {movers: gone{unknown: errors.New("forbidden")}, locked: true, says: "Could not check whether the mover that " +
			"holds the lock still exists: " +
			"forbidden"},
		"it is waited for": {wait: time.Millisecond, locked: true, says: "Waiting up to 1ms for the repository of demo/web"},
		"known only partly": {movers: gone{hosts: "pod-1", unknown: errors.New("forbidden")}, says: "Could not check whether the mover " +
			"that holds the lock still exists: " +
			"forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.lock("pod-1", "its operation")
			w.Movers, w.RetryLock = tt.movers, tt.wait
			_, err := w.Forget(t.Context(), ForgetRequest{StatefulSet: web(), IDs: []string{w.dead}})
			if errors.Is(err, repository.ErrLocked) != tt.locked || err != nil && !tt.locked {
				t.Error(err)
			}
			if !w.wasTold(tt.says) {
				t.Errorf("told %q, want %q", w.told, tt.says)
			}
		})
	}
}

// TestLockIsInEveryonesWay: a lock blocks everyone who removes data.
func TestLockIsInEveryonesWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lock("pod-1", "its operation")
	before := w.names("")
	for what, do := range map[string]func() error{
		"keep": func() error {
			_, err := w.Keep(t.Context(), KeepRequest{StatefulSet: web(), Rules: retention.Rules{Last: 1}, Zone: time.UTC})
			return err
		},
		"prune": func() error {
			_, err := w.Prune(t.Context(), PruneRequest{StatefulSet: web()})
			return err
		},
		"repair": func() error {
			_, err := w.Repair(t.Context(), RepairRequest{StatefulSet: web()})
			return err
		},
	} {
		if err := do(); !errors.Is(err, repository.ErrLocked) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if diff := cmp.Diff(before, w.names("")); diff != "" {
		t.Errorf("something was changed (-want +got):\n%s", diff)
	}
}

// TestGuard: a method that removes data does so under the guard while nobody else may work, and does nothing without it.
func TestGuard(t *testing.T) {
	t.Parallel()
	busy := errors.New("busy")
	for what, do := range map[string]func(*world) error{
		"keep": func(w *world) error {
			_, err := w.Keep(t.Context(), KeepRequest{StatefulSet: web(), Rules: retention.Rules{Last: 1}, Zone: time.UTC})
			return err
		},
		"prune": func(w *world) error {
			_, err := w.Prune(t.Context(), PruneRequest{StatefulSet: web()})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if _, err := w.points.Forget(t.Context(), w.ids[0]); err != nil { // so that there is something to prune
				t.Fatal(err)
			}
			before := len(w.names(""))
			w.Guard = &Guard{Do: func(context.Context, *catalog.Catalog, func(context.Context) error) error { return busy }}
			if err := do(w); !errors.Is(err, busy) || len(w.names("")) != before {
				t.Errorf("busy: %v", err)
			}
			guarded, marked := 0, false
			guard := func(ctx context.Context, points *catalog.Catalog, do func(context.Context) error) error {
				guarded++
				if points.Host() != web().String() {
					t.Errorf("the guard is for %s", points.Host())
				}
				return do(ctx)
			}
			watching := storagetest.NewFaulty(w.bucket, storagetest.Fault{Match: func(op storagetest.Operation) bool {
				if op.Verb == storagetest.Delete && strings.HasPrefix(op.Name, "demo/web/locks/") {
					holders, err := w.points.Repository().Locks(t.Context())
					if err != nil {
						t.Error(err)
					}
					for _, h := range holders {
						marked = marked || h.Exclusive && h.Operation == "under the guard"
					}
				}
				return false
			}})
			now := w.Now
			w.Upkeep = w.at(watching)
			w.Guard, w.Now = &Guard{Operation: "under the guard", Do: guard}, now
			if err := do(w); err != nil || guarded == 0 || !marked {
				t.Errorf("%v; guarded %d times, its lock said so: %t", err, guarded, marked)
			}
		})
	}
}

// TestLockLeft: the work is done although its lock stays, and a person is told.
func TestLockLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for what, do := range map[string]func(*Upkeep) error{
		"forget": func(u *Upkeep) error {
			_, err := u.Forget(t.Context(), ForgetRequest{StatefulSet: web(), IDs: w.ids[:1]})
			return err
		},
		"add a key": func(u *Upkeep) error {
			_, err := u.AddKey(t.Context(), AddKeyRequest{StatefulSet: web(), Password: "another"})
			return err
		},
	} {
		w.told = nil
		bucket := storagetest.NewFaulty(w.bucket, storagetest.Fault{At: 1, Match: func(op storagetest.Operation) bool {
			return op.Verb == storagetest.Delete && strings.HasPrefix(op.Name, "demo/web/locks/")
		}})
		u := w.at(bucket)
		u.Now = w.Now
		if err := do(u); err != nil || !bucket.Fired() {
			t.Errorf("%s: %v", what, err)
		}
		if len(w.told) != 1 || !strings.HasPrefix(w.told[0], "warning: the lock that is no longer needed stays") {
			t.Errorf("%s: told %q", what, w.told)
		}
		if _, err := w.Unlock(t.Context(), UnlockRequest{StatefulSet: web(), RemoveAll: true}); err != nil {
			t.Fatal(err)
		}
	}
}
