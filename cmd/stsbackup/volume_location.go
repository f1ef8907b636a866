package main

import (
	"strings"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/local"
)

// openVolumeBucket opens the directory that a file:// URL names.
func openVolumeBucket(url string, create bool) (storage.Bucket, error) {
	dir, ok := strings.CutPrefix(url, "file://")
	if !ok {
		return nil, usageErrorf("repository %q is not a file:// URL", url)
	}
	return local.Open(local.Config{Dir: dir, Create: create})
}
