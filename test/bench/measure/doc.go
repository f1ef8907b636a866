// Package measure runs a program and tells what it took: time on the wall, CPU time, the peak of its memory, and what
// it has left in a directory. A pool of memory makes the result independent of when the program runs.
package measure
