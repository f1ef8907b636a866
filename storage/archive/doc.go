// Package archive copies a directory tree into a repository and back: files, directories, symlinks, hard links and
// special files, with mode, owner, times and extended attributes.
//
// # Backup
//
// Backup is a pipeline of fixed memory. One goroutine, the walker, goes through the tree in the order of names, reads
// files into a few large buffers (slabs), and cuts them there into pieces with FastCDC, whose key comes from the
// repository's master key. Workers take the pieces, straight from the slab, through hashing, the look-up in the
// index, compression and sealing into packs, which the repository uploads while the next ones fill.
//
// A directory's tree blob needs the ids of all that is in it, which arrive in any order. So every directory counts
// what it still waits for, and whoever brings the last of it writes its tree and reports to the parent. Nobody waits,
// and memory is held only for directories that are not complete: those between the root and the walker.
//
// Where there is an earlier backup of the same volume, its trees are read alongside, directory by directory. A file of
// which they have the same size and times is not read again: its content is taken from them, if the index still has
// all of it. ctime and inode count too, unless the volume turns out to be a copy, of which all are new: none of the
// first few thousand entries, from the root down, has those it had. A file that was
// touched less than two seconds before that backup began is read again, as its times might have stood still. A file
// with several names is read under the first of them, as long as what is known of such files takes little memory.
//
// Holes of sparse files are not read: in the format they are pieces of zeros like others, but zeros are stored once for
// each length, and recognised without being hashed. A block device is saved as one file.
//
// The volume may be in use. Nothing in it is reached through a path: directories and files are opened relative to
// their parent's descriptor, without following symlinks, so that a directory that is swapped for a link while we look
// leads nowhere else. A file is saved with the length it had when it was opened, or less if it shrank; its recorded
// size is always the size of its recorded content. What others did to it meanwhile is told as a Change in the Result.
//
// # Restore
//
// A planner walks the trees, makes directories, links and special files, and collects what files need from which
// pack, in batches of bounded size. What lies together in a pack is asked for at once, with small gaps between; what two
// batches need is fetched for each of them. What was asked for goes through a small buffer; several such runs are fetched,
// decrypted, checked and written at their offsets at once. As in a backup, the last piece of a file completes the file, and the last entry
// of a directory completes the directory: only then it gets its owner, mode and times, which entries made in it would
// disturb. The names in a repository are not trusted, nor is what is in the target: everything is made relative to the
// parent's descriptor, by a checked name, and no symlink is followed. A directory is open while what is in it is saved or
// restored, so trees of more than 4096 directories within each other are refused, and what lies deeper is not saved. Of their
// tree blobs, which may be large, only some stay in memory; others are read again.
//
// Entries are made links to each other if they have one inode and the backup has the same of them: an inode that was given
// to another file, or written to, while a live volume was saved makes a file of its own. Files are open while there is
// something to write to them; where very many are, or few may be, they are opened for each piece anew.
//
// An entry of which the tree or the index says what cannot be restored (repository.Judge) is left out and named, and the restore
// has failed. Checks ask the same judge, so that what they call whole can be restored.
//
// A restore that other damage or a full target ends leaves what it has made: files that are not complete have their full length,
// and mode 0600 as nobody has given them theirs yet, so that no service takes them for its data; their directories have mode
// 0700. Removing them is left to whoever gives up the target: the next restore may replace them, and those that are
// complete are worth a look. A single file that cannot be written is removed.
//
// A directory of the target that was there before loses the access control lists, and those extended attributes of users
// and administrators, that the backup does not have, when it gets its own; until then it hands a default access control
// list down to what is made in it, where that is removed before the mode is set. Nothing else can inherit any, so that
// nothing else is looked at.
//
// Blocks of zeros are not written, so that sparse files, and files of zeros, are restored as holes; on a block device
// they are, unless it is known to be blank.
//
// Owners and device nodes need privileges. Without them (not as root) the owner and the group are restored as far as the
// system allows, each by itself, the set-user-id or set-group-id bit is dropped where that could not be done, and what cannot
// be made is a problem in the Result.
//
// Access times are not kept: a backup changes them by reading. What is restored gets the time of its last change instead.
//
// # Directories of one's own
//
// A volume that a restore has not filled to its end has a mark, RestoringMark, which a backup tells of and does not save. It
// says whose work lies beside it, and authorises nobody but that restore, and those that go on with it, to remove that
// (TakeEmpty). Anybody who may write to the volume can write a mark, and pods may have run on a volume since its restore was
// killed: so those who go on with another's work first compare what lies there with the repository snapshot, as do those who
// empty a volume that was filled to its end (TakeBack). An entry that the snapshot does not have, or that was changed, is
// somebody's: nothing is removed then. A file that is not whole is told by its mode, which is the last thing that it gets,
// and by having nothing in it but zeros and what it is to have. Nothing is removed through a symlink or across a mount.
package archive
