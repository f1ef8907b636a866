package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/internal/wait"
)

// TestNeverTwoBelieve lets three operations compete for one Lease for hours. Each has its own way to the API
// server, on which requests and answers take up to 20 seconds, and which is cut off now and then. No two of them
// ever believe at the same moment, and each gets its turn, sometimes by taking over from one that is cut off.
func TestNeverTwoBelieve(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &race{server: newLeaseServer(t), held: map[string]*Lease{}, random: rand.New(rand.NewPCG(seed, 0))}
				ctx, cancel := context.WithTimeout(t.Context(), 12*time.Hour)
				defer cancel()
				var all sync.WaitGroup
				for _, name := range []string{"first", "second", "third"} {
					all.Go(func() { r.compete(ctx, t, name) })
				}
				believed, last, turns, overtaken := map[string]time.Duration{}, "", map[string]int{}, 0
				for ctx.Err() == nil {
					who := r.believers()
					if len(who) > 1 {
						t.Fatalf("after the turns %v, these believe at once: %v", turns, who)
					}
					for _, name := range who {
						believed[name] += 250 * time.Millisecond
						if name != last {
							turns[name]++
							if last != "" && r.holds(last) {
								overtaken++
							}
							last = name
						}
					}
					<-time.After(250 * time.Millisecond)
				}
				all.Wait()
				t.Logf("believed for %v in %v turns; %d holders were overtaken", believed, turns, overtaken)
				if len(turns) < 3 || turns["first"] < 3 || overtaken == 0 {
					t.Errorf("it proves little: %v turns, of which %d were taken from others", turns, overtaken)
				}
			})
		})
	}
}

// race is the competitors, and the Leases that they have.
type race struct {
	server *leaseServer
	mutex  sync.Mutex
	held   map[string]*Lease
	random *rand.Rand
}

// upTo is a random time.
func (r *race) upTo(d time.Duration) time.Duration {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return time.Duration(r.random.Int64N(int64(d)))
}

// ways gives a client delays of up to 20 seconds, of which slow in ten are long. Once the way has become slow,
// ways cuts it off now and then.
func (r *race) ways(c *Client, slow time.Duration) {
	delay := func() time.Duration {
		if r.upTo(10) >= slow {
			return r.upTo(100 * time.Millisecond)
		}
		return r.upTo(20 * time.Second)
	}
	r.server.delay(c, delay, func() time.Duration {
		d := delay()
		if d > leaseRenewal && r.upTo(2) == 0 {
			time.AfterFunc(d, func() { r.server.cut(c, true) })
			time.AfterFunc(d+30*time.Second, func() { r.server.cut(c, false) })
		}
		return d
	})
}

// compete takes the Lease, has it for a while in which the way may be cut off, and gives it back.
func (r *race) compete(ctx context.Context, t *testing.T, name string) {
	c := r.server.client()
	for turn := 0; ctx.Err() == nil; {
		r.ways(c, r.upTo(6))
		lease, err := c.Acquire(ctx, testOperation(), LeaseOptions{Holder: fmt.Sprint(name, turn)})
		if err != nil {
			if !errors.Is(err, ErrBusy) && !passes(context.Background(), err) && ctx.Err() == nil {
				t.Errorf("%s: %v", name, err)
			}
			_ = wait.For(ctx, r.upTo(time.Second))
			continue
		}
		turn++ // the next turn is another operation, with its own holder
		r.keep(name, lease)
		_ = wait.For(lease.Context(), r.upTo(time.Minute))
		_ = lease.Release(context.WithoutCancel(ctx)) // it may take too long; then the Lease ends by itself
		r.keep(name, nil)
	}
}

func (r *race) keep(name string, lease *Lease) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if lease == nil {
		delete(r.held, name)
		return
	}
	r.held[name] = lease
}

func (r *race) holds(name string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.held[name] != nil
}

func (r *race) believers() []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var names []string
	for name, lease := range r.held {
		if lease.Believed() {
			names = append(names, name)
		}
	}
	return names
}
