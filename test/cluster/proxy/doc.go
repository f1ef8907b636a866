// Package proxy carries connections from the host's loopback into the cluster's network namespace.
//
// A socket belongs to the network namespace it was made in, not to the one of the process that uses it. So the host-side listeners are made
// on the host and inherited by the holder, which accepts on them and dials from where it lives, inside. No second process, no veth pair, no
// route: when the holder ends, so do they.
package proxy
