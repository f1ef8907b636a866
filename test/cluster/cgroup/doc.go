// Package cgroup makes and removes the cgroup root below which all pods of a cluster live.
//
// With cgroup v1 every controller has its own tree and a new cpuset is empty until it is told its processors and memory nodes; with v2
// there is one tree and controllers have to be passed on. Removing works from the leaves up and is tried for a while: a cgroup can only be
// removed when its last process is gone, which takes the kernel a moment after the process has been killed.
package cgroup
