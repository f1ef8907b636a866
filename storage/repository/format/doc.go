// Package format has what all parts of the repository format share: how objects and blobs are named, which types of blobs there
// are, and how large anything may be. The format is restic's, version 2; docs/format.md says what of it is used here.
//
// An object or a blob is named after the SHA-256 of its bytes, its ID. The limits hold for what is read: no length that somebody
// else has written is given memory before it was compared with them.
package format
