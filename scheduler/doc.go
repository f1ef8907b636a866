// Package scheduler backs up the StatefulSets of a cluster as a policy file says.
//
// It has no state of its own. What is owed follows from the schedule and from the recovery points in the bucket: a run
// is done if a complete recovery point was begun at its time or later. So a scheduler that was restarted, or has taken
// over from another, knows what to do; and a backup that a person has made meanwhile counts.
//
// One loop, Scheduler.Lead, goes round whenever something has happened or it is time:
//
//  1. refresh takes over the StatefulSets and the policies, if any of them has changed.
//  2. decide finds for each StatefulSet the present window of its schedule (window.go), and judges what is owed
//     (judge.go): pure functions of schedule, recovery points and time. If a run is no longer owed, and was never made,
//     decide reports it, once. Among those that can begin, choose takes the stalest, within the limits.
//  3. Tasks do the work in goroutines of their own (task.go) and report outcomes, which the loop settles (settle.go). Only
//     the loop changes what is known. A task lists the recovery points once more before it backs up.
//
// A leader lists recovery points once per term, before anything else. It retries failures less and less often
// (backoff.go), as long as the run is owed. Prunes and verifications (upkeep.go) leave nothing in the bucket that tells
// when they ran; a new leader repeats those of the last hour.
//
// Every ten minutes the leader looks at what restores have set aside, and frees it after the time that a policy says,
// if it says one (displaced.go).
//
// Operations does the work, and the caller supplies it. The scheduler imports neither engine.
package scheduler
