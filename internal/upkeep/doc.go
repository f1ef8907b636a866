// Package upkeep does what is done to repositories after backups have filled them: forget, prune, verify, repair, unlock,
// change keys, and list what there is. The commands, the scheduler, and whoever else looks after repositories call it.
//
// # Shape
//
// An Upkeep has what all of it depends on: the repositories, the clock, whoever knows which movers are gone, a person to be
// told and asked. Each use is a method that takes a request and returns a result. A use that has found something out before it
// failed returns both a result and an error. Nothing is printed, and no flag or variable is read.
//
// # Working alone
//
// Who removes data must meet nobody. The repository's own locks see to that, and a Guard, if there is one, beside them: it has
// work done while nobody else of the cluster begins to work on the StatefulSet.
//
//  1. Open the repository.
//  2. If a lock is in the way, ask Movers whether its holder is a mover that has ended. Remove the locks of those: a mover
//     that was killed shall not keep anyone waiting for the half hour after which its lock is nobody's.
//  3. Otherwise wait, for RetryLock at most, and tell the person for whom.
//  4. Work, under the lock, and under the Guard as long as the lock is exclusive.
//
// What is to be removed is decided before, to tell a person, and again under the lock, because a backup can have ended since.
//
// # Which repositories
//
// Choose turns what a person has said (names, a namespace, labels) into StatefulSets that have a repository. To find none is an
// error: what runs every night and finds nothing must not end as if all were well.
package upkeep
