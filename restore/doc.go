// Package restore brings a StatefulSet back to one of its recovery points: every ordinal gets its own data back,
// in claims of the names that its pods bind to.
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
// # The steps
//
// Run carries a plan out. No step destroys data; what is replaced is set aside and stays:
//
//  1. The StatefulSet's Lease is taken, leftovers of dead operations are swept, an interrupted restore is undone.
//  2. The journal, a ConfigMap, is written. It holds all that putting back needs. Each later phase is entered in it
//     before its first effect.
//  3. Guard: the volumes to be replaced get the reclaim policy Retain, and the StatefulSet keeps its claims whatever
//     its persistentVolumeClaimRetentionPolicy was. Only then
//  4. the StatefulSet is scaled to 0 and its pods are waited for.
//  5. Set aside: the volumes are labelled as displaced, with their claim's manifest in an annotation, and the claims
//     are deleted. The volumes stay, Released, where nothing can bind to them.
//  6. Claims are created under the final names, empty.
//  7. Fill: for each claim, in order, a mover writes the ordinal's repository snapshot into it, placed where the
//     StatefulSet's pod could run; its result must agree with the record.
//  8. Resume, only when every ordinal is complete: the journal turns to "resume", from where there is no way back;
//     retention policy and replicas are what they were, the pods become Ready, the journal is removed.
//
// # Putting back
//
// Whatever fails or is interrupted before step 8 is undone from the journal: the claims that this operation created
// go, with their half-filled volumes; each displaced volume is bound again to a claim made from its saved manifest;
// reclaim policies, retention policy and replicas are what they were. Which action a claim needs is decided by
// looking at the live objects (see classify), not by remembering how far the operation came, so that putting back can
// itself be killed and repeated at any point. A restore that finds the journal of one that was killed puts back
// first; one that was killed in step 8 is completed instead, because its pods may have written new data.
//
// After success the displaced volumes remain until a person frees them; the report names each with the command that
// does it.
package restore
