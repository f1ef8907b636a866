// Package local is a Bucket in a directory, for disks and network file systems that are mounted where stsbackup
// runs.
//
// An object is the regular file of its name below the directory. Put writes a temporary file in the folder
// ".stsbackup-tmp", flushes it to the medium, renames it to the object's name, and then flushes every folder on the
// way to it, so that neither the data nor the name can be lost in a crash and nobody ever sees a part of either. So does Open
// with the folders that it makes.
// What a crash leaves in the temporary folder is never listed, harms nothing, and is removed a day later by
// whoever opens the directory next. Delete removes folders that have become empty, since a folder exists in a
// Bucket only as long as an object is in it; Put and Delete take turns at that by trying again.
//
// Everything goes through an os.Root: no name and no symbolic link leads out of the directory. Links that stay
// inside are followed.
package local
