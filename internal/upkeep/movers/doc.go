// Package movers finds out which movers have ended whose locks are found in a repository.
//
// The lock of a mover names its cluster, its namespace and its operation, and as its host the pod (cluster.ParseMoverMark).
// Of a pod in another cluster it means nothing that this one does not know it, so that only the movers of this cluster are
// judged. A cluster is asked only if there is such a lock, and not for long: upkeep needs none otherwise, and it may be gone.
package movers
