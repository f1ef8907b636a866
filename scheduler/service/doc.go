// Package service is a scheduler as a process: all that is around the loop of package scheduler.
//
// Run does this, in order:
//
//  1. It begins to watch the StatefulSets of the cluster, and reads the policy file. A file that is wrong ends it at once.
//  2. It serves metrics and probes, follows the policy file, and competes with other schedulers for the Lease. Who holds the
//     Lease leads. A new version of the file that is wrong is not taken over: an Event, the log and the metrics tell.
//  3. When the context ends, the leader lets what is running end, for a time of grace, and gives its Lease back. Watch, Events,
//     metrics and probes outlive the context until then: the leader needs them to end in order.
//
// Check tells what a policy file means for the StatefulSets of a cluster, without carrying it out.
//
// The package imports neither engine. What does the work in a repository is made by Config.Operations, and what has nothing to
// back up is told by Config.Nothing.
package service
