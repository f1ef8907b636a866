package backup

import "sync"

// uses counts what a backup has in the namespace at one time, and will give back: temporary claims, and movers that run. For those that
// quotas have no room for, it is worth waiting meanwhile. A volume that has a claim waits at most for movers that run, and
// these end: so no two wait for each other.
type uses struct {
	mu             sync.Mutex
	claims, movers int
}

// add counts in one of the two.
func (u *uses) add(count *int, n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	*count += n
}

func (u *uses) anyClaims() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.claims > 0
}

func (u *uses) anyMovers() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.movers > 0
}
