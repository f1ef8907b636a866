package format

// BlobType says what a blob holds. The values are those of the format's JSON.
type BlobType string

// The types of blobs.
const (
	DataBlob BlobType = "data" // a piece of a file
	TreeBlob BlobType = "tree" // the entries of a directory
)

// Limits on what a repository may claim about a blob or a pack, in bytes.
const (
	// MaxBlobSize bounds the plain length of a blob: a tree of a million entries can be some hundred MiB.
	MaxBlobSize = 1 << 30
	// MaxDataBlobSize is the same for pieces of files, which are at most 8 MiB.
	MaxDataBlobSize = 64 << 20
	// MaxPackSize bounds a pack: restic allows 128 MiB and one blob more.
	MaxPackSize = 2 << 30
)
