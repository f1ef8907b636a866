// Package archive copies a directory tree into a repository and back: files, directories, symlinks, hard links and
// special files, with mode, owner, times and extended attributes.
//
// # Backup
//
// Backup is a pipeline that uses a fixed amount of memory. One goroutine, the walker, goes through the tree in the order of
// names. It reads files into a few large buffers (slabs) and cuts them into pieces there, with FastCDC, whose key comes
// from the repository's master key. Workers take the pieces straight from the slab: they hash each one, look it up in the
// index, compress it and seal it into a pack. The repository uploads full packs while the next ones fill.
//
// A directory's tree blob needs the ids of all its entries, which arrive in any order. So every directory counts the
// entries that it still waits for. Whoever brings the last one writes the tree and reports to the parent. Nobody waits,
// and only incomplete directories take memory: those between the root and the walker.
//
// If there is an earlier backup of the same volume, the walker reads its trees alongside, directory by directory. A file
// whose size and times are the same there is not read again: Backup takes its content from that backup, if the index
// still has all of the content. ctime and inode must be the same too, unless the volume turns out to be a copy, where all
// of them are new: then none of the first few thousand entries, from the root down, has its old ones. Backup reads a file
// again that was touched less than two seconds before the earlier backup began, because the clock behind its times might
// not have ticked since. Backup reads a file with several names under the first of its names, as long as the list of such
// files takes little memory.
//
// Backup does not read the holes of sparse files. In the format, holes are pieces of zeros like any other pieces, but
// Backup stores zeros once for each length, and recognises them without hashing them. It saves a block device as one file.
//
// The volume may be in use. Backup reaches nothing in it through a path: it opens directories and files relative to
// their parent's descriptor, without following symlinks. So if somebody swaps a directory for a link meanwhile, the link
// leads nowhere. Backup saves a file with the length that the file had when it was opened, or less if the file shrank;
// the recorded size is always the size of the recorded content. The Result tells, as Changes, what others did to files
// meanwhile.
//
// # Restore
//
// A planner walks the trees and makes directories, links and special files. It also collects which parts of which packs
// the files need, in batches of bounded size. One request asks for everything that lies together in a pack, with small
// gaps between; what two batches need is fetched twice. The answer to a request (a run) goes through a small buffer;
// several runs are fetched, decrypted, checked and written at their offsets at the same time. As in a backup, the last
// piece of a file completes the file, and the last entry of a directory completes the directory. Only then does the
// directory get its owner, mode and times, because entries made in it later would disturb them.
//
// Restore trusts neither the names in a repository nor the contents of the target: it makes everything relative to the
// parent's descriptor, by a checked name, and follows no symlink. A directory stays open while its entries are saved or
// restored. So Restore refuses trees with more than 4096 directories within each other, and Backup does not save deeper
// ones. Tree blobs may be large: only some of those directories keep theirs in memory, the others are read again.
//
// Restore links entries to each other if they have one inode and are the same in the backup. While a live volume was being
// saved, an inode may have been given to another file, or its file may have been written to; such an entry becomes a file
// of its own. Files stay open while there is something to write to them. Where there are very many, or the process may
// open few, Restore opens them anew for each piece.
//
// If the tree or the index says something about an entry that cannot be restored (repository.Judge), Restore leaves the
// entry out, names it, and fails in the end. Checks ask the same judge, so what they call whole can be restored.
//
// If other damage or a full target ends a restore, its work so far stays. Incomplete files have their full length and mode
// 0600: nobody has given them their own mode yet, so no service takes them for its data. Their directories have mode 0700.
// Whoever gives up the target removes them: the next restore may replace them, and complete files are worth a look. If
// a single file cannot be written, Restore removes it.
//
// A directory of the target that existed before gets its attributes when it is complete. It then loses all access control
// lists, and extended attributes of users and administrators, that the backup does not have. Until then it hands a
// default access control list down to everything made in it; Restore removes that list there before it sets the mode.
// Nothing else can inherit a list, so Restore looks at nothing else.
//
// Restore does not write blocks of zeros, so sparse files, and files of zeros, become holes. It does write them to a block
// device, unless the device is known to be blank.
//
// Owners and device nodes need privileges. Without them (not as root) Restore sets the owner and the group as far as the
// system allows, each on its own. Where it cannot, it drops the set-user-id or set-group-id bit. An entry that it
// cannot make is a Problem of the Result.
//
// Access times are not kept: a backup changes them by reading. A restored entry gets the time of its last change instead.
//
// # Directories of one's own
//
// A volume that a restore has not filled to the end has a mark, RestoringMark. A backup reports the mark and does not save
// it. The mark says which restore's work lies beside it, and allows only that restore, and the restores that go on with
// its work, to remove that work (TakeEmpty). But anybody who may write to the volume can write a mark, and pods may have
// run on a volume since its restore was killed. So a restore that goes on with another's work first compares the contents
// with the repository snapshot; so does one that empties a volume that was filled to the end (TakeBack). An entry that the
// snapshot does not have, or that was changed, belongs to somebody: then nothing is removed. An incomplete file shows by
// its mode, which a file gets last, and by holding nothing but zeros and its own content. Nothing is removed through a
// symlink or across a mount.
package archive
