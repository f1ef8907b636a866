// Package proxy carries connections from the host's loopback into the cluster's network namespace.
//
// A socket belongs to the network namespace in which it was made, not to that of the process which uses it. So the
// harness makes the listeners on the host; the holder inherits them, accepts on them, and dials from inside, where it
// lives. No second process, no veth pair, no route: when the holder ends, so do the listeners.
package proxy
