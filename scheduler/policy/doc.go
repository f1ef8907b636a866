// Package policy says which StatefulSets are backed up, when, and what is kept of them: the policy file.
//
// Parse reads the file strictly. It walks the YAML tree with a table of fields for every mapping, so that each thing
// that is wrong is reported with its line, its place and, for a name that is not known, the nearest one that is; and
// all of them at once. What can be checked without a cluster is: schedules, time zones, rules that would keep nothing,
// selectors that select nothing, a jitter that is longer than the time between two runs. A file that has been parsed
// can be relied on.
//
// File.Assign is a pure function of a StatefulSet: its annotation decides, or else the first policy in the file that
// selects it. What else would have selected it is told, so that it can be said.
//
// Policy.Next gives the next run of a StatefulSet. Its jitter is a fixed part of the policy's maximum, taken from a hash
// of the StatefulSet's name: runs are spread, but each StatefulSet has its time, after every restart and on every replica.
package policy
