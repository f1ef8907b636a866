// Package cgroup makes and removes the cgroup root below which all pods of a cluster live.
//
// With cgroup v1 every controller has its own tree, and a new cpuset is empty until somebody sets its processors and
// memory nodes. With v2 there is one tree, and each parent has to pass controllers on. Removing works from the leaves
// up, and Remove tries for a while: a cgroup can be removed only when its last process is gone, and the kernel takes a
// moment for that after a kill.
package cgroup
