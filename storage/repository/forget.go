package repository

import "errors"

// errNotExclusive says that a lock of the wrong kind was used to remove something.
var errNotExclusive = errors.New("removing needs an exclusive lock")

// RemoveSnapshots removes repository snapshots, in the order given, and stops at the first that fails. If one does not
// exist, that is no error. Data that only they needed stays in the packs until Prune. The lock must be exclusive: a
// backup might be about to record one of them.
func (l *Lock) RemoveSnapshots(ids ...ID) error {
	if !l.exclusive {
		return errNotExclusive
	}
	return l.repo.remove(l.ctx, kindSnapshot, ids)
}
