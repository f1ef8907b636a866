// Package upkeep looks after repositories once backups have filled them: forget, prune, verify, repair, unlock, change
// keys, and list recovery points. The commands, the scheduler, and others that look after repositories call it.
//
// # Shape
//
// An Upkeep has what all methods depend on: the repositories, the clock, a way to learn which movers are gone, and a person
// to tell and ask. Each method takes a request and returns a result. If a method fails after it has found something out, it
// returns both a result and an error. The package prints nothing, and reads no flag or environment variable.
//
// # Working alone
//
// While a method removes data, nobody else may work on the repository. The repository's own locks ensure that. A Guard, if
// there is one, also keeps everybody else in the cluster from beginning to work on the StatefulSet.
//
//  1. Open the repository.
//  2. If a lock conflicts, ask Movers whether its holder is a mover that has ended. Remove the locks of such movers: nobody
//     should wait for a killed mover until its lock counts as dead, half an hour later.
//  3. Otherwise wait, for RetryLock at most, and tell the person for whom.
//  4. Work, under the lock, and under the Guard as long as the lock is exclusive.
//
// A method decides what to remove before it takes the lock, to tell a person, and again under the lock, because a backup
// can have ended since.
//
// # Which repositories
//
// Choose turns what a person has asked for (names, a namespace, labels) into StatefulSets that have a repository. If there
// are none, that is an error: a nightly job that finds nothing must not look healthy.
package upkeep
