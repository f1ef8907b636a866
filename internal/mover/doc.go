// Package mover is what a mover and the engine that runs it say to each other: both ends of it, so that they cannot
// drift apart.
//
// A mover writes lines of progress to its log, each a JSON object (archive.Progress, or what it waits for), and leaves one JSON object as the
// pod's termination message, of which Kubernetes keeps 4096 bytes: the result, cut to fit, or the error in its own
// words. Its exit code tells a result that is whole from one that leaves out some entries (ExitProblems).
package mover
