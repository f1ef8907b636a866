// Package dataset generates the data that the benchmark saves: the same bytes on every machine and in every run.
//
// Every stretch of data comes from a generator whose seed is the place of the stretch. So a part can be changed in
// place, or shared between volumes, without knowing the rest. The memory for it is fixed, because the peak memory of a
// child process starts at that of its parent.
package dataset
