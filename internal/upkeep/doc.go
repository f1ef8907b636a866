// Package upkeep does what is done to repositories after backups have filled them: forget, prune, verify, repair, unlock,
// change keys, and list what there is. The commands, the scheduler, and whoever else looks after repositories call it.
//
// # Shape
//
// An Upkeep has what all uses depend on: the repositories, the clock, a way to learn which movers are gone, and a person to
// tell and ask. Each use is a method that takes a request and returns a result. If a use fails after it has found something
// out, it returns both a result and an error. The package prints nothing, and reads no flag or variable.
//
// # Working alone
//
// While a use removes data, nobody else may work on the repository. The repository's own locks ensure that. A Guard, if there
// is one, also keeps everybody else in the cluster from beginning to work on the StatefulSet.
//
//  1. Open the repository.
//  2. If a lock conflicts, ask Movers whether its holder is a mover that has ended. Remove the locks of such movers: nobody
//     should wait for a killed mover until its lock counts as dead, half an hour later.
//  3. Otherwise wait, for RetryLock at most, and tell the person for whom.
//  4. Work, under the lock, and under the Guard as long as the lock is exclusive.
//
// A use decides what to remove before it takes the lock, to tell a person, and again under the lock, because a backup can have
// ended since.
//
// # Which repositories
//
// Choose turns what a person has said (names, a namespace, labels) into StatefulSets that have a repository. If there are none,
// that is an error: a nightly job that finds nothing must not look healthy.
package upkeep
