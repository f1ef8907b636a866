// Package displaced knows the volumes that restores and undos have set aside, and frees them.
//
// The PersistentVolume itself says what it is, in the labels and annotations that internal/cluster writes. List reads these
// marks, and believes none of them alone. The claim that they name must be the claim in the volume's own claimRef; otherwise
// another claim has taken the volume. The StatefulSet, the claim template and the ordinal must be possible parts of the
// claim's name. List ignores a manifest that is not the claim's. Marks can be out of date. So List takes what a volume is
// now (State) from the claimRef and from the claim of that name: a volume that a claim holds again is bound, whatever its
// labels say.
//
// Sets groups what one operation has set aside: an undo brings back one such set, and a set has one age.
//
// Deciding and freeing are apart. Look reads the situation of one StatefulSet. NewPlan decides (a pure function; its refusals
// say what prevents the plan, and with any refusal nothing is done). Discarder.Run carries the plan out:
//
//  1. take the StatefulSet's Lease, so that no restore begins (if the namespace is gone, there is no Lease, and no restore
//     either);
//  2. for each volume, look at everything once more, and change exactly the version of the volume that was seen: whoever
//     binds the volume in between wins;
//  3. give the Lease back, and wait, within limits, until the drivers have deleted the volumes that they have to delete.
//
// The driver of a volume that a provisioner made deletes it with its data. A volume that people made loses its marks and its
// claimRef, and becomes Available, with the data still on it.
package displaced
