// Package scheduler backs up the StatefulSets of a cluster as a policy file says.
//
// It has no state of its own. What is owed follows from the schedule and from the recovery points that are in the bucket:
// a run is done when a complete recovery point was begun at its time or later. So a scheduler that was restarted, or has
// taken over from another, knows what to do; and a backup that a person has made meanwhile counts.
//
// One loop, Scheduler.Lead, goes round whenever something has happened or it is time:
//
//  1. refresh takes over the StatefulSets that there are and the policies, if any of them has changed.
//  2. decide finds for each StatefulSet the window of its schedule that it is now (window.go), and judges what is owed
//     (judge.go): pure functions of schedule, recovery points and time. A run that is no longer owed, and was never made,
//     is reported, once. Of those that can begin, choose takes the stalest, within the limits.
//  3. Tasks do the work in goroutines of their own (task.go) and report by outcomes, which the loop settles (settle.go): it
//     alone changes what is known. A task lists the recovery points once more before it backs up.
//
// Recovery points are listed once per term of a leader, before anything else. Failures are retried less and less often
// (backoff.go), as long as the run is owed. Prunes and verifications (upkeep.go) leave nothing in the bucket that tells when
// they were; a new leader repeats those of the last hour.
//
// What restores have set aside is looked at every ten minutes, and freed where a policy says after how long (displaced.go).
//
// What is done is handed in as Operations. The scheduler imports neither engine.
package scheduler
