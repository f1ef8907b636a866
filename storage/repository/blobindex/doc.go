// Package blobindex knows where the blobs of a repository lie: in which pack, at what offset, and how long.
//
// There is an entry for every piece of every file, so the index must not be in memory. The latest entries are in a map. When
// that is full, it goes to a temporary file as a run, sorted by the blobs' IDs. Of each block of 4 KiB of a run the first ID
// stays in memory, so that one read finds an entry. Runs that are not much larger than those after them are merged, so that
// there are few. In an entry, a pack is a number. The packs' IDs are in a table of their own, most of which is in a file too.
//
// The files have no names: nobody else finds them, and they are gone with the process. Where none can be written, all that is
// lost is memory. That one cannot be read any more is ErrFile, never a blob that is missing.
package blobindex
