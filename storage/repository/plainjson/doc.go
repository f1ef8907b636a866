// Package plainjson writes and reads JSON in the one way in which we, and restic, write nearly all of it: fields in their order,
// no white space, strings that need no escape. What there is very much of, the entries of directories and of indexes, goes through
// here. Package json would take four times as long to write it, and leave several copies of everything for the garbage collector;
// every backup reads the entries of the last one and all of the index, and package json took up to half of its time for that.
//
// The bytes that are written are those of package json. A Reader believes nothing that package json would not: whatever it does
// not know, it says is not ordinary, and its user leaves that to package json. So there are not two readings of one object.
package plainjson
