// Package packfile has the parts of a pack, and what index objects say about packs.
//
// A pack is a run of sealed blobs, the sealed table of contents, and the length of that table in four bytes,
// little-endian. An entry of the table has the blob's type, its stored length, for a compressed blob also its plain
// length, and its ID. Where a blob lies follows from the lengths of the blobs before it, so the table also says how
// large the pack must be. Builder makes packs: it compresses and seals each blob in its place, and hashes the pack
// beside the blobs.
//
// An index object is JSON that repeats the tables of contents of many packs, so that nobody need ask a pack for its
// own. Both describe blobs as a Blob. Check checks everything that is read before anybody relies on it: types, lengths,
// offsets, and that no blob overlaps another.
package packfile
