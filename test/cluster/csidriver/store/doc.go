// Package store keeps volumes and their snapshots as files on a filesystem with reflinks.
//
// An image volume is one sparse file with a filesystem in it, or raw for a block volume. It has a hard size limit. Its
// snapshot is one FICLONE of that file: instant, sharing all blocks, and atomic, because the clone locks the file
// against the loop device's writes. A mounted filesystem is frozen around the cut. If there are several volumes, all
// are frozen before the first cut and thawed after the last, so that their snapshots are of one moment. A dir volume is
// a plain directory of no fixed size. Its snapshot is a copy of reflinks file by file, and so of no single moment.
//
// Every object is a folder with its record in meta.json. The store makes it under a hidden name and moves it into place
// when it is whole, and moves it out of place before it deletes it: nobody ever sees a half object, whenever the driver
// ends.
package store
