// Package backup makes a recovery point of a StatefulSet: all ordinals, as one thing.
//
//  1. Plan. Inventory reads once everything that the StatefulSet consists of. A pure function, NewPlan, decides for each
//     ordinal and claim template how to capture its volume and why (package capture), and what will not be in the backup:
//     volumes of the pods that are no claims, claims beyond the replicas, claims that are missing. It refuses what cannot
//     work, before anything has changed, and lists all of it at once.
//  2. Preflight. The repository, if there is one already, must open, and its newest recovery point must have come from
//     this cluster.
//  3. Lease. One operation at a time works on a StatefulSet; all that follows runs under the Lease's context. Run makes
//     the plan again under it, because another operation may have changed the claims until a moment ago.
//  4. Sweep. It removes what a dead operation has left in the cluster. When that operation's movers are gone for sure, it
//     also removes their locks from the repository.
//  5. Capture. A capture.Capturer gets all volumes at once. It takes the VolumeSnapshots in ordinal order, and waits for
//     each only until its cut is taken: the cuts must lie close together, and the data may follow later. To capture a live
//     volume is to read it.
//  6. Move. A Saver (in the cluster: Movers) copies each volume from the claim that its capture gives. It does so in
//     ordinal order, because replicas deduplicate against the one before; several at once if the user asks for that. As
//     soon as a volume is read, what its capture holds is released, while others are copied.
//  7. Commit. The record is written last: the recovery point exists from here on.
//  8. Cleanup. It has a context of its own, so that it also works after an interruption.
//
// A volume that fails does not take the others with it: the recovery point is marked incomplete and holds what could
// be saved. If nothing could be saved, or the operation is interrupted or loses its Lease, there is no record. If
// the StatefulSet or its namespace turns out to have been deleted meanwhile, the error says so (cluster.ErrNotFound).
package backup
