// Package backup makes a recovery point of a StatefulSet: all ordinals, as one thing.
//
//  1. Plan. Everything the StatefulSet consists of is read once (Inventory), and a pure function (NewPlan) decides for
//     each ordinal and claim template how its volume is captured and why (package capture), and what will not be in the
//     backup: volumes of the pods that are no claims, claims beyond the replicas, claims that are missing. What cannot work
//     is refused here, before anything has changed: all of it at once.
//  2. Preflight. The repository, if there is one already, must open, and its newest recovery point must have come from
//     this cluster.
//  3. Lease. One operation at a time on a StatefulSet; all that follows runs under the Lease's context. The plan is
//     made again under it, since another operation may have changed the claims until a moment ago.
//  4. Sweep. What a dead operation has left behind is removed, in the cluster and then, its movers being gone for sure,
//     of locks in the repository.
//  5. Capture. All volumes at once, by a capture.Capturer: one VolumeSnapshot after the other, in ordinal order, each only
//     until its cut is taken: the cuts are to lie close together, and the data may follow later. Live volumes are captured
//     by being read.
//  6. Move, by a Saver (in the cluster: Movers). One volume after the other, in ordinal order, since replicas deduplicate
//     against the one before: from the claim that its capture gives. Several at once if asked for. What a capture holds is
//     released as soon as its volume is read, while others are copied.
//  7. Commit. The record, last: the recovery point exists from here on.
//  8. Cleanup, under a context of its own that also works when the operation was interrupted.
//
// A volume that fails does not take the others with it: the recovery point is marked incomplete and holds what could
// be saved. If nothing could be saved, or the operation is interrupted or loses its Lease, there is no record. If
// the StatefulSet or its namespace turns out to have been deleted meanwhile, the error says so (cluster.ErrNotFound).
package backup
