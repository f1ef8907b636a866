// Package policy reads the policy file: it says which StatefulSets are backed up, when, and what is kept.
//
// Parse reads the file strictly. It walks the YAML tree with a table of fields for every mapping, and reports all
// errors at once: each with its line, its place and, for an unknown name, the most similar known one. It checks
// everything that needs no cluster: schedules, time zones, rules that would keep nothing, selectors that select
// nothing, a jitter that is longer than the time between two runs. The program can rely on a file that has been parsed.
//
// File.Assign is a pure function of a StatefulSet: its annotation decides, or else the first policy in the file that
// selects it. Assign also returns the later policies that would have selected it, so that the caller can report them.
//
// Policy.Next returns the next run of a StatefulSet. Its jitter is a fixed part of the policy's maximum, taken from a
// hash of the StatefulSet's name: runs are spread, but each StatefulSet keeps its time, after every restart and on
// every replica.
package policy
