// Command bench compares stsbackup with restic and kopia, and measures its memory. "make bench" and "make bench-memory"
// build all programs and run it.
//
// A comparison makes all data sets and then takes several rounds through them. A round covers each data set and each
// place of a repository (a directory, and a bucket of a real S3 server on the loopback interface). There, every tool in
// turn makes an empty repository, saves the data and restores it; if the data then changes, it saves and restores it
// again, and so on. Each round has another order of tools, so that other activity on the machine hits all of them. Once
// for each tool, data set and place, bench compares what the tool restored with what it saved.
//
// Everything is in memory if there is enough of it: the disk would be the same for all tools. To make memory the same
// for all too, a pool (see the package measure) keeps the host of a virtual machine from taking it away in between. If
// there is not enough memory, the clock stops only when everything that a tool has written is on the disk.
package main
