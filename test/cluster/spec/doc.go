// Package spec says what the test cluster consists of: where its state lives, which addresses it uses, which nodes it
// has.
//
// Everything follows from the state folder alone. Two clusters differ in their folder, and so in the name that is
// derived from it (which marks what the kernel knows by name: the cgroup root and the loop devices). They share all
// addresses, because each has a network namespace of its own. So a process inside the namespaces can compute the same
// Cluster as one outside, from nothing but the folder's path.
package spec
