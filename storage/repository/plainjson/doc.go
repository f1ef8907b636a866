// Package plainjson writes and reads JSON in the one way in which we, and restic, write nearly all of it: fields in
// order, no white space, strings that need no escape. It handles the JSON of which there is very much: the entries of
// directories and of indexes. Package json would take four times as long to write it, and leave several copies of
// everything for the garbage collector. Every backup reads the entries of the last one and the whole index, and package
// json took up to half of its time for that.
//
// The written bytes are the same as package json's. A Reader believes nothing that package json would not: it calls
// everything that it does not know not ordinary, and its user leaves that to package json. So there are not two
// readings of one object.
package plainjson
