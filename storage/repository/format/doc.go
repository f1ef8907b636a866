// Package format has what all parts of the repository format share: the names of objects and blobs, the types of blobs,
// and the size limits. The format is restic's, version 2; docs/format.md says which parts this program uses.
//
// An object or a blob is named after the SHA-256 of its bytes, its ID. The limits apply to everything that is read:
// nobody allocates memory for a length that somebody else has written before comparing it with its limit.
package format
