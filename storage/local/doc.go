// Package local is a Bucket in a directory, for disks and network file systems that are mounted where stsbackup runs.
//
// An object is the regular file with its name below the directory. Put writes a temporary file in the folder
// ".stsbackup-tmp", flushes it to the medium, renames it to the object's name, and then flushes every folder on the way
// to it. So a crash loses neither the data nor the name, and nobody ever sees a part of either. Open does the same with
// the folders that it makes. The leftovers of a crash in the temporary folder are never listed, harm nothing, and are
// removed a day later by whoever opens the directory next. Delete removes folders that have become empty, because a
// folder exists in a Bucket only as long as an object is in it; if that removes a folder that a Put needs, the Put
// tries again.
//
// Everything goes through an os.Root: no name and no symbolic link leads out of the directory. Links that stay inside
// are followed.
package local
