// Package process starts programs as the first process of a PID namespace has to, and tells why they ended.
//
// The first process inherits every orphan (the container runtime's shims detach on purpose) and must wait for them all, or they stay
// as zombies. So there is one place that waits, for any child: the exit of a program that was started here goes to its Process, that of
// an orphan nowhere. os/exec's own Wait is never used, as the two would take each other's children away.
//
// Every component writes to its own log file. When one ends too early or does not get ready, the error is a *Failure: it names the
// component and its log file and carries the last lines of it, because "timed out" alone helps nobody.
package process
