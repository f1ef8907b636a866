// Package mover defines what a mover and the engine that runs it tell each other. It contains both ends, so that they cannot drift
// apart.
//
// A mover writes lines to its log, each a JSON object. At its end it leaves one JSON object as the pod's termination message, of which
// Kubernetes keeps 4096 bytes: the result, cut to fit, or the error in the mover's own words. The exit code tells a complete result
// from one that leaves out some entries (contract.ExitProblems).
//
// There are three kinds of lines: progress (archive.Progress, with a count of what was done), what the mover waits for, and, while
// there is nothing to say about files and bytes, a beat: the count, and what the mover is doing (Pulse). The count is of finished
// things: an answer of the bucket, a part of an object sent or received, an entry of the volume. So a mover that reads an index for an
// hour makes progress, and one that tries for an hour to reach a bucket does not (Sign).
//
// The mover's end writes with a Voice and a ResultFile. The engine's end reads with Sign, Progress, Waiting, Outcome and ProbeOutcome.
//
// Package contract defines what both must agree on beforehand (arguments, places, files); package setup sets up movers.
//
// A probe is a mover without a volume, which checks whether movers can do their work (ProbeOutcome).
package mover
