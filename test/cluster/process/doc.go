// Package process starts programs in the way that the first process of a PID namespace must, and says why they ended.
//
// The first process inherits every orphan (the container runtime's shims detach on purpose) and must wait for them all,
// or they stay as zombies. So one place waits, for any child. If the child is a program that was started here, its
// Process gets the exit status; an orphan's goes nowhere. Nobody uses os/exec's own Wait, because the two would take
// each other's children away.
//
// Every component writes to its own log file. When one ends too early or does not get ready, the error is a *Failure:
// it names the component and its log file and carries the last lines of the log, because "timed out" alone helps
// nobody.
package process
