// Command bench compares stsbackup with restic and kopia, and measures its memory. "make bench" and "make
// bench-memory" build all programs and run it.
//
// A comparison makes all data sets and then takes several rounds through them. In a round, for each data set and each
// place of a repository (a directory, and a bucket of a real S3 server on the loopback interface), every tool in turn
// makes an empty repository, saves the data and restores it, where the data is then changed saves and restores it again,
// and so on. The tools take turns in another order in each round, so that what else happens on the machine meets all of
// them. What they restore is compared with what they saved: once for each tool, data set and place.
//
// Everything is in memory if there is enough of it: the disk would be the same for all. So that memory is the same for
// all too, a pool (see the package measure) keeps the host of a virtual machine from taking it away in between. Where
// there is not enough memory, all that a tool has written must have reached the disk before the clock stops.
package main
