// Package measure runs a program and tells what it took: time on the wall, CPU time, the peak of its memory, and what
// it has left in a directory. A pool of memory sees to it that this does not depend on when it was run.
package measure
