package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// FolderLister is an additional interface of a Bucket that can name folders without listing every object in them. All
// of stsbackup's buckets, and their parts (Sub), implement it.
type FolderLister interface {
	// Folders returns the names, without slashes and in lexical order, of the folders directly below prefix: each
	// element that stands between prefix and a later slash in some object's name. The prefix is empty or ends in a
	// slash; any other fails with ErrName. A folder exists only as long as there is an object below it.
	Folders(ctx context.Context, prefix string) ([]string, error)
}

// Folders is FolderLister.Folders for any bucket; if the bucket is no FolderLister, it looks at the name of every
// object.
func Folders(ctx context.Context, bucket Bucket, prefix string) ([]string, error) {
	if lister, ok := bucket.(FolderLister); ok {
		return lister.Folders(ctx, prefix)
	}
	if !ValidFolderPrefix(prefix) {
		return nil, fmt.Errorf("list folders below %q in %s: %w", prefix, bucket, ErrName)
	}
	var folders []string
	err := bucket.List(ctx, prefix, func(info Info) error {
		folder, _, nested := strings.Cut(strings.TrimPrefix(info.Name, prefix), "/")
		if nested {
			folders = append(folders, folder)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// Names and folders sort differently: "a-b/x" comes before "a/x".
	slices.Sort(folders)
	return slices.Compact(folders), nil
}

// ValidFolderPrefix reports whether FolderLister accepts prefix: it is empty, or a valid name and a slash.
func ValidFolderPrefix(prefix string) bool {
	folder, slash := strings.CutSuffix(prefix, "/")
	return prefix == "" || slash && ValidName(folder)
}
