// Package treeblob writes and reads trees: the JSON of a directory's entries, in blobs of the type tree. The bytes of a
// tree are part of the format, because a blob is named after them: fields in order, entries sorted by name, names
// quoted as Go quotes strings.
//
// An Encoder builds a tree. An Encoder from NewSpilling compresses a tree that becomes Large while the tree grows, so
// that next to nothing of it is in memory. A Reader reads the entries from the bytes of a tree, a Stream from a stream
// of these bytes, for Large trees. Both hand out one entry after the other, check that names are plain and in order,
// and make sure at the end that the tree ends there: a tree that was cut off has lost entries.
//
// Trees are not trusted. No name leads out of its directory. An entry takes no more memory than a few times its JSON,
// and no more than MaxNodeText besides the list of its pieces. What lies between entries takes none.
package treeblob
