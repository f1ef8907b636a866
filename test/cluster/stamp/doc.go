// Package stamp remembers from what files were made, so that checking whether they are up to date costs one comparison.
//
// A key is the hash of everything that decides the result. The stamp of a name holds the key of the last result, and is
// written after the result; it counts only while every file of the result is there. Making something again although its
// key has not changed costs time, not correctness.
package stamp
