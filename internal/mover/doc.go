// Package mover is what a mover and the engine that runs it say to each other. It has both ends, so that they cannot
// drift apart.
//
// A mover writes lines to its log, each a JSON object, and leaves one JSON object as the pod's termination message, of which
// Kubernetes keeps 4096 bytes: the result, cut to fit, or the error in its own words. Its exit code tells a result that is
// whole from one that leaves out some entries (contract.ExitProblems).
//
// The lines are progress (archive.Progress, with a count of what was done), what it waits for, and, in times when there is
// nothing to say of files and bytes, a beat: the count, and what the mover is at (Pulse). The count is of things that
// were done: an answer of the bucket, a part of an object that came or went, an entry of the volume. So a mover that reads
// an index for an hour gets on, and one that tries for an hour to reach a bucket does not (Sign).
//
// The mover's end writes by a Voice and a ResultFile. The engine's end reads by Sign, Progress, Waiting, Outcome and ProbeOutcome.
//
// What both must agree on beforehand (arguments, places, files) is in package contract; how movers are set up is in package setup.
//
// A probe is a mover without a volume, which looks whether movers can do their work (ProbeOutcome).
package mover
