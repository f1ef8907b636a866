// Package repository keeps encrypted, deduplicated data in a storage.Bucket, in version 2 of restic's repository
// format. So the stock restic binary can list, check and restore whatever this package wrote, and the other way round.
//
// # Objects
//
// Everything in a repository is an object that is written once and never changed. Every object except "config" is named
// after the SHA-256 of its stored bytes (see layout.go for all names):
//
//   - keys: the 64-byte master key, sealed under a key that scrypt derives from a password. One per password.
//   - config: says that the repository exists, and which version of the format it has.
//   - data: packs. A pack is a run of sealed blobs followed by a sealed table of contents. A blob is a piece of a
//     file (data) or the list of a directory's entries (tree), and is named after the SHA-256 of its plain bytes:
//     equal pieces are stored once.
//   - index: which blob lies where in which pack.
//   - snapshots: a repository snapshot names one tree blob, the root, and says whose data it is and when it was made.
//   - locks: who is at work here.
//
// # Trust
//
// This package does not trust the bucket. It checks the seal (AES-256-CTR with a Poly1305-AES MAC) before it uses a single
// decrypted byte, compares the hash of every object and blob with its name, and bounds every length, offset and count
// before it allocates memory for it.
//
// # Parts
//
// Code that needs only bytes is in packages below this one, which know no bucket: format (names and limits), seal
// (encryption), compress, packfile (packs and index objects), treeblob (directories), plainjson (reads and writes the JSON
// of packfile and treeblob) and blobindex (where each blob lies, in memory and temporary files). This package puts them to
// use: it knows the bucket, the keys and the locks, and the order in which things may be done.
//
// # Copies
//
// The same blob may lie in several packs. The index keeps one place of the blob. If that pack is missing or damaged, this
// package looks for the others (see copies.go), and any copy that is whole serves.
//
// # Order
//
// Crash safety comes from nothing but the order of writes: packs, then the index objects that name them, then the
// repository snapshot that needs them. Whatever the moment of a crash, a repository snapshot that exists is whole,
// and the worst left behind is unused data, which prune removes. Readers go the other way round: they list the repository
// snapshots first, then load the index.
//
// Removing goes in reverse, under an exclusive lock: repository snapshots go first. Prune then finds what no repository
// snapshot needs, and copies needed blobs out of packs that are mostly waste or very small. It writes an index of all packs
// that will stay, and only then removes the old index and, last, the old packs. At every moment, needed data is in a pack that
// an index object names. Prune must be alone only while it exchanges the index, with a last look at what others have added;
// others may work while it copies and removes. Check reads all of this without a lock, and names what is damaged. Repair takes
// what is damaged out of the index, in prune's order, so that the next backup stores it again.
//
// A process that finds a conflicting lock waits, for as long as SetLockWait allows. After a long sleep, or because of a
// wrong clock, others may take a living process for dead. So each process checks that its own lock is still there just
// before it writes anything that others rely on (index objects, repository snapshots), and again and again while it removes
// something.
//
// The Bucket does all retries: if it reports a failure, the operation has failed.
package repository
