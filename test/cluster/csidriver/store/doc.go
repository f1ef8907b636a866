// Package store keeps volumes and their snapshots as files on a file system with reflinks.
//
// An image volume is one sparse file with a file system in it, or raw for a block volume. It has a hard size limit, and its snapshot is one
// FICLONE of that file: instant, sharing all blocks, and atomic, because the clone locks the file against the loop device's writes. A
// mounted file system is frozen around the cut; several volumes are all frozen before the first and thawed after the last cut, so that
// their snapshots are of one moment. A dir volume is a plain directory of no fixed size, whose snapshot is a copy of reflinks file by file
// and so of no single moment.
//
// Every object is a folder with its record in meta.json. It is made under a hidden name and moved into place when it is whole, and moved
// out of place before it is deleted: a half object is never seen, whenever the driver ends.
package store
