// Package leader lets one of several schedulers act.
//
// They compete for one Lease. Its holder renews it every two seconds. If it cannot renew it for ten seconds, it stops;
// after fifteen seconds without a sign of life another takes over. So two schedulers never lead at the same time: the
// leader's context has ended before anybody else may begin. A leader that is told to stop keeps the Lease until its
// work has ended, and then gives it back, so that the next can begin at once.
package leader
