// Package leader lets one of several schedulers act.
//
// They compete for one Lease. Its holder renews it every two seconds; if it cannot for ten, it stops, and after fifteen
// without a sign of life another takes over. So there are never two who lead: the leader's context has ended before anybody
// else may begin. A leader that is told to stop keeps the Lease until its work has ended, and gives it back then, so that
// the next can begin at once.
package leader
