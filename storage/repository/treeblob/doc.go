// Package treeblob writes and reads trees: the JSON, in blobs of the type tree, of what is in a directory. Its bytes are part of the
// format, since a blob is named after them: fields in their order, entries by their names, names quoted as Go quotes strings.
//
// An Encoder builds a tree. One that NewSpilling has made compresses a tree that becomes Large while it grows, so that next to nothing
// of it is in memory. A Reader reads the entries from the bytes of a tree, a Stream from a stream of them, for trees that are Large.
// Both hand out one entry after the other, check that their names are plain and in order, and make sure in the end that the tree ends
// there: one that was cut off has lost entries.
//
// Trees are not trusted. No name leads out of its directory; an entry takes no more memory than a few times its JSON, and no more than
// MaxNodeText beside the list of its pieces; what lies between entries takes none.
package treeblob
