// Package dataset generates the data that the benchmark saves: the same bytes on every machine, of every run.
//
// Every stretch of data comes from a generator that is seeded with where it belongs, so that a part can be changed in
// place, or shared between volumes, without knowing the rest, and in a fixed amount of memory: the peak memory of a
// process that is started counts from that of the process which starts it.
package dataset
