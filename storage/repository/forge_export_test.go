package repository

import "testing"

// ForgeBlob stores plain bytes as a blob that is sealed as it must be and that the index calls by another id, for tests of
// those that read through this package. It gives the pack's name.
func ForgeBlob(t *testing.T, repo *Repository, blobType BlobType, id ID, plain []byte) (pack string) {
	t.Helper()
	return forgeBlob(t, repo, blobType, id, plain, nil)
}

// MergeAll are options that have Prune write every pack anew.
func MergeAll() PruneOptions { return PruneOptions{mergeFrom: 1} }
