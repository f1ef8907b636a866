// Package blobindex knows where the blobs of a repository lie: in which pack, at what offset, and how long.
//
// There is an entry for every piece of every file, so the index must not be in memory. The latest entries are in a map.
// When the map is full, it goes to a temporary file as a run, sorted by the blobs' IDs. A run has blocks of 4 KiB, and
// the first ID of each block stays in memory, so that one read finds an entry. Runs that are not much larger than those
// after them are merged, so that there are few. In an entry, a pack is a number. The packs' IDs are in a table of their
// own, most of which is in a file too.
//
// The files have no names: nobody else finds them, and they disappear with the process. If no file can be written, that
// costs only memory. If one can no longer be read, the error is ErrFile, and never says that a blob is missing.
package blobindex
