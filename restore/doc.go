// Package restore brings a StatefulSet back to one of its recovery points: every ordinal gets its own data back,
// in claims of the names to which its pods bind. It can also undo what it has done.
//
// # The plan
//
// NewPlan is a pure function of a Situation: the recovery point's record, and the cluster's objects as they were read.
// For each ordinal and claim template, it decides what to restore, into what kind of claim, and what to do with the
// present claim. It collects what prevents the restore (refusals, each with its next step) and what a person should know
// (warnings). A plan with a refusal is never carried out.
//
// Admit then asks the API server, by a dry run, about every object that carrying out the plan would create. What the API
// server would deny becomes a refusal, too. Run repeats both under the Lease, before the first change.
//
// # The states
//
// The journal is a ConfigMap beside the StatefulSet. Each of its volumes is in one state:
//
//	present → set aside → made → filled → checked → handed over
//
// Run writes a state when its step is done. Only the last state is written before its step: before a pod can start on the
// volume. From then on the volume is data like any other, and no restore may remove it. It is normal that a person, a
// GitOps tool or a controller acts between two steps. So each step looks at the live objects again, and does not rely on
// what it remembers.
//
// # The guard
//
// A restore removes a volume only if Journal.unproved and Journal.found find nothing against it:
//
//   - this operation made the claim, a provisioner made the volume for the claim (the binder prefers existing volumes), and
//     the volume was never handed over;
//   - the StatefulSet has the UID and the generation at which it was held, 0 replicas and the gate;
//   - no pod that may run uses the claim.
//
// As long as metadata.generation stays the same, nobody has changed replicas or template, so none of the StatefulSet's pods
// can have run. The restore checks before it deletes the claim, and once more after that, when nobody can begin to use the
// volume. If the guard does not hold, the restore sets the volume aside: it keeps the volume, with marks that say what it
// is. Without a proof it removes nothing. On purpose, it therefore also keeps volumes of a StatefulSet that somebody has
// merely scaled.
//
// # The steps
//
// Run carries out a plan:
//
//  1. Begin: Run takes the StatefulSet's Lease, sweeps leftovers of dead operations, and makes the plan again: it must equal
//     the plan to which the user agreed. A mover without a volume shows that movers can do their work.
//  2. Journal: Run writes the journal. It enters each later phase there before the phase's first effect.
//  3. Guard: the volumes to be replaced get the reclaim policy Retain, and marks with all that is needed to bind them
//     again. The StatefulSet keeps its claims, whatever its persistentVolumeClaimRetentionPolicy was.
//  4. Hold: one change sets 0 replicas and puts a scheduling gate into the pod template. Pods that anybody creates from now
//     on wait. When no pod is left that may run, Run notes the generation.
//  5. Set aside: Run deletes the claims. The volumes stay, Released, where nothing can bind to them.
//  6. Create: Run creates claims under the final names. In an undo, they bind to the volumes that it brings back.
//  7. Fill, several ordinals at once: for each claim, a mover writes the ordinal's repository snapshot into it, on a node
//     where the StatefulSet's pod could run. The mover's result must agree with the record.
//  8. Hand over, only when every ordinal is complete and nobody has interfered: the journal's phase becomes "resume". From
//     here on, only a person can decide to go back.
//  9. Resume: one change removes the gate, and restores retention policy and replicas. The controller replaces pods that were
//     created meanwhile. When all pods are Ready, Run removes the journal.
//
// # Other uses of the states
//
//   - Put back: if something fails, or is interrupted, before step 8, it is undone from the journal. The restore removes what
//     this operation made, if the guard allows it. It binds each displaced volume again to a claim made from the saved
//     manifest, and restores policies and replicas. The live objects decide which action a claim needs (see classify). So
//     putting back can itself be killed and repeated at any point.
//   - Resume (WayResume): after a kill, volumes in the state "checked" are kept if the guard holds and they are of the same
//     repository snapshot. All others are filled again. If somebody has created the StatefulSet anew since, nothing counts
//     as proved.
//   - Keep present (WayKeep): somebody has started the pods. The journal ends, and the volumes on which the pods run stay.
//   - Undo: volumes that were set aside replace the present volumes, which are set aside in turn. An undo is a restore
//     without filling, so an undo can be undone.
//
// An interrupted restore is left alone until a person says what to do (WayNone refuses and names the ways). The only
// exception is an interruption in step 9: the next restore completes it, because there is nothing to decide.
//
// After success the displaced volumes remain until a person, or a policy, frees them.
package restore
