// Package movers finds out which locks in a repository belong to movers that have ended.
//
// The lock of a mover names its cluster, its namespace and its operation, and as its host the pod (cluster.ParseMoverMark).
// The package judges only movers of this cluster, because this cluster knows nothing about the pods of another. It asks the
// cluster only if there is such a lock, and not for long: otherwise upkeep needs no cluster, and the cluster may be gone.
package movers
