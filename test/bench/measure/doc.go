// Package measure runs a program and measures what it used: wall time, CPU time, peak memory, and what it has left in a
// directory. A pool of memory makes the result independent of when the program runs.
package measure
