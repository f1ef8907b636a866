// Package capture fixes the state of volumes, so that a mover can read it while the pods keep running. Each method to do so is a Way.
// A Way gets all volumes at once, because volumes that belong together must be decided, and cut, together.
//
//  1. Check, before anything changes, chooses for each volume the Way that the user asked for, or else the first that can capture it. If
//     none can, Check refuses. It collects all refusals. Check is a pure function of what was read from the cluster.
//  2. Makes, also before anything changes, returns what a Way would create for a volume, for a dry run at the API server.
//  3. Cut fixes the state of all volumes of a Way, in the order of their ordinals, and returns as soon as the last one is fixed. The
//     storage may copy the data later. The cuts must lie close together, and whoever keeps the pods from writing meanwhile must be able
//     to let them go on soon.
//  4. Source, when it is a volume's turn, returns the claim that a mover mounts to read the cut. It waits until the storage is ready.
//  5. Release, as soon as a volume is read or given up, frees what the capture holds, because that costs storage.
//
// The Ways are snapshot (VolumeSnapshots in turn, and a temporary claim from each) and live (a mover reads the claim itself, and nothing
// is cut). If one volume cannot be cut, the others still are.
package capture
