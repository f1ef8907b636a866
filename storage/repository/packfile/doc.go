// Package packfile has what a pack consists of, and what index objects say of packs.
//
// A pack is a run of sealed blobs, the sealed table of contents, and the length of that in four bytes, little end first. An entry of the
// table has the blob's type, its length as it is stored, for a compressed one also its plain length, and its ID. Where a blob lies follows
// from the lengths of those before it, so that the table also says how large the pack must be. Builder makes packs: it compresses and seals
// each blob where it is to lie, and hashes the pack beside the blobs.
//
// An index object is JSON that repeats the tables of contents of many packs, so that no pack need be asked for its own. What both say is a
// Blob. Whatever is read is checked (Check) before anybody relies on it: types, lengths, offsets, and that no blob overlaps with another.
package packfile
