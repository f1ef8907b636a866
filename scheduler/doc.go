// Package scheduler backs up the StatefulSets of a cluster as a policy file says.
//
// It has no state of its own. What is owed follows from the schedule and from the recovery points that are in the bucket:
// a run is done when a complete recovery point was begun at its time or later. So a scheduler that was restarted, or has
// taken over from another, knows what to do; and a backup that a person has made meanwhile counts.
//
// What is done is handed in as Operations. The scheduler imports neither engine.
package scheduler
