// Package volume saves and restores single volumes, without a cluster. Movers use it in their pods, and people with
// "stsbackup volume".
//
// Backup saves a directory or a block device as a repository snapshot in the repository of its StatefulSet. If there is no
// repository, it creates one. The tags of the repository snapshot say to which claim, ordinal and recovery point it belongs.
//
// Restore finds a repository snapshot and writes it into a directory, or onto a device. A mover needs the directory for
// itself alone (RestoreRequest.IntoEmpty): it marks the directory while it works. TakeBack later removes what the mover has
// put there, if nobody else has written there since.
//
// Probe checks whether all of that can be done from here, without a volume. ExplainInPod says what to do about what it finds.
//
// Callers follow the work through an Observer. The package prints nothing. It reads the environment only for the repository's
// location (location.Config).
package volume
