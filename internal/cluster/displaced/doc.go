// Package displaced knows the volumes that restores and undos have set aside, and frees them.
//
// What a volume is stands on the PersistentVolume itself, in the labels and annotations that internal/cluster writes. List reads
// them and believes none of them alone: the claim that the marks name must be the one that the volume's own claimRef names, or the
// volume has become another's; the StatefulSet, the claim template and the ordinal must be what the claim's name can be made of; a
// manifest that is not the claim's is left out. Marks outlive what they say, so what a volume is now (State) is taken from its
// claimRef and from the claim of that name: a volume that a claim holds again is bound, whatever its labels.
//
// Sets groups what one operation has set aside: an undo brings back one such set, and age is that of a set.
//
// Freeing is decided and done apart. Look reads the situation of one StatefulSet, NewPlan decides (a pure function; whatever stands
// in the way is among its refusals, and with any nothing is done), and Discarder.Run carries it out:
//
//  1. take the StatefulSet's Lease, so that no restore begins (a namespace that is gone has none, and no restore either);
//  2. for each volume, look at everything once more, and change exactly the version of the volume that was looked at: whoever binds
//     it in between wins;
//  3. give the Lease back, and wait, within limits, until the drivers have deleted what is theirs to delete.
//
// A volume that a provisioner made is deleted by its driver, with the data. One that people made loses its marks and its claimRef,
// and is Available, with the data still on it.
package displaced
