// Package service is a scheduler as a process: everything around the loop of package scheduler.
//
// Run does this, in order:
//
//  1. It begins to watch the StatefulSets of the cluster, and reads the policy file. If the file is wrong, Run ends at once.
//  2. It serves metrics and probes, follows the policy file, and competes with other schedulers for the Lease. The holder of the
//     Lease leads. Run does not take over a new version of the file that is wrong: an Event, the log and the metrics say so.
//  3. When the context ends, the leader lets running tasks end, within a grace time, and gives its Lease back. Watch, Events,
//     metrics and probes outlive the context until then: the leader needs them to end in order.
//
// Check says what a policy file means for the StatefulSets of a cluster, without carrying it out.
//
// The package imports neither engine. Config.Operations makes what does the work in a repository, and Config.Nothing
// says which StatefulSets have nothing to back up.
package service
