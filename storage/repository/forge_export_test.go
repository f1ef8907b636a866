package repository

import "testing"

// ForgeBlob stores plain bytes as a correctly sealed blob that the index calls by another id, to test readers that use
// this package. It returns the pack's name.
func ForgeBlob(t *testing.T, repo *Repository, blobType BlobType, id ID, plain []byte) (pack string) {
	t.Helper()
	return forgeBlob(t, repo, blobType, id, plain, nil)
}

// MergeAll returns options that make Prune rewrite every pack.
func MergeAll() PruneOptions { return PruneOptions{mergeFrom: 1} }
