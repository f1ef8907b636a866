// Package capture has the ways to fix the state of volumes, so that it can be read while the pods go on: each is a Way, and all are given
// every volume at once, because what belongs together must be decided, and cut, together.
//
//  1. Check, before anything is changed. For each volume the first of the ways that can capture it is chosen, or the one that was asked
//     for; what cannot be captured is a refusal. All refusals are found. Check is a pure function of what was read from the cluster.
//  2. Makes, also before: what a way would create for a volume, so that the API server can be asked whether it would have it.
//  3. Cut. All volumes of a way, in the order of their ordinals, and ended as soon as the last one's state is fixed: the data may follow
//     later, but the cuts are to lie close together, and whoever keeps the pods from writing meanwhile must be able to let go.
//  4. Source, when a volume's turn has come: the claim that a mover mounts to read what was cut. It waits until the storage has it ready.
//  5. Release, as soon as a volume is read or given up: what the capture holds costs storage.
//
// The ways are snapshot (one VolumeSnapshot after the other, and a temporary claim from each) and live (the claim itself is read: nothing
// is cut). One volume that cannot be cut does not keep the others from being so.
package capture
