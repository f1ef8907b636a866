// Package restore brings a StatefulSet back to one of its recovery points: every ordinal gets its own data back,
// in claims of the names that its pods bind to. It also undoes what it has done.
//
// # The plan
//
// NewPlan is a pure function of a Situation: the recovery point's record and the cluster's objects as they were read.
// It decides per ordinal and claim template what is restored, into what kind of claim, and what becomes of the claim
// that is there now; it collects what stands in the way (refusals, each with its next step) and what a person should
// know (warnings). A plan with a refusal is never carried out.
//
// Admit then asks the API server, by a dry run, for every object that carrying the plan out would create: what it would
// deny is a refusal too. Both are done again under the Lease, before the first change.
//
// # The states
//
// Each volume of the journal, a ConfigMap beside the StatefulSet, is in one state:
//
//	present → set aside → made → filled → checked → handed over
//
// A state is written when its step is done. Only the last one is written earlier: before a pod can start on the volume.
// From then on the volume is data like any other, and no restore may remove it. A person, a GitOps tool or a controller that acts
// between two steps is the normal case: each step looks at the live objects again, and does not rely on what it remembers.
//
// # The guard
//
// A volume is removed only if Journal.unproved and Journal.found find nothing against it: this operation made the claim, a
// provisioner made the volume for it (the binder prefers volumes that are there already), and it was never handed over; the StatefulSet has
// the UID and the generation at which it was held, 0 replicas and the gate; no pod that may run uses the claim. While metadata.generation
// is that one, nobody has changed replicas or template, so that none of its pods can have run. It is looked at before the claim goes and
// once more after that, when nobody can begin to use the volume. Where the guard does not hold, the volume is set aside: kept, with marks
// that say what it is. On purpose, that also keeps volumes of a StatefulSet that somebody has merely scaled: without a proof nothing is
// removed.
//
// # The steps
//
// Run carries a plan out:
//
//  1. Run takes the StatefulSet's Lease, sweeps leftovers of dead operations, and makes the plan again: it must equal the
//     plan that the user agreed to. A mover without a volume shows that movers can do their work.
//  2. The journal is written. Each later phase is entered in it before its first effect.
//  3. Guard: the volumes to be replaced get the reclaim policy Retain, and marks with all that it takes to bind them
//     again; the StatefulSet keeps its claims whatever its persistentVolumeClaimRetentionPolicy was.
//  4. Hold: in one step, 0 replicas and a scheduling gate in the pod template. Pods that anybody has made from now on wait.
//     When no pod is left that may run, the generation is noted.
//  5. Set aside: the claims are deleted. The volumes stay, Released, where nothing can bind to them.
//  6. Claims are created under the final names. Those of an undo bind to the volumes that it brings back.
//  7. Fill, several ordinals at once: for each claim a mover writes the ordinal's repository snapshot into it, placed where
//     the StatefulSet's pod could run; its result must agree with the record.
//  8. Hand over, only when every ordinal is complete and nobody has interfered: the journal turns to "resume", from where
//     there is no way back without a person's word.
//  9. Resume: gate, retention policy and replicas are what they were, in one step. Pods that were made meanwhile are deleted
//     and made again by the controller. When all are Ready, the journal is removed.
//
// # The other uses of the same states
//
//   - Putting back: if something fails, or is interrupted, before step 8, it is undone from the journal. What this operation
//     has made is removed, if the guard allows it; each displaced volume is bound again to a claim made from its saved manifest;
//     policies and replicas are what
//     they were. Which action a claim needs is decided by the live objects (see classify), so that putting back can
//     itself be killed and repeated at any point.
//   - Resume (WayResume): after a kill, volumes in the state "checked" are kept if the guard holds and they are of the same
//     repository snapshot. The rest is filled again. If somebody has made the StatefulSet anew since, nothing counts as proved.
//   - Keep present (WayKeep): somebody has started the pods; the journal ends, and the volumes that they run on stay.
//   - Undo: volumes that were set aside come back in place of those that are there now, which are set aside in turn. It is
//     a restore without filling, so an undo can be undone.
//
// Unless a person says what to do, an interrupted restore is left alone (WayNone refuses and names the ways). Only if it
// was in step 9, the next restore completes it, because there is nothing to decide.
//
// After success the displaced volumes remain until a person, or a policy, frees them.
package restore
