// Package volume saves and restores single volumes, without a cluster. Movers do it in their pods, and people with "stsbackup
// volume".
//
// Backup saves a directory or a block device as a repository snapshot in the repository of its StatefulSet, which it makes if there
// is none. The repository snapshot says by its tags which claim, ordinal and recovery point it belongs to.
//
// Restore finds a repository snapshot and writes it into a directory, or onto a device. A mover wants to have the directory for
// itself (RestoreRequest.IntoEmpty): it marks the directory while it works, and TakeBack later removes what it has put there, if
// nobody else has written there since.
//
// Probe looks whether all of that can be done from here, without a volume. ExplainInPod says what to do about what it finds.
//
// Whoever calls sees how it goes through an Observer. The package prints nothing and reads no environment but for the repository's
// place (location.Config).
package volume
