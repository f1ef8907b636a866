// Package stamp remembers what files were made from, so that making them again costs one comparison.
//
// A key is the hash of everything that decides the result. The stamp of a name holds the key of the last result and is written after it; it
// counts only while every file of the result is there. Whoever makes something without a change of its key has not lost correctness, only
// time.
package stamp
