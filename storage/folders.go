package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// FolderLister is what a Bucket also offers if it can name folders without listing every object in them. All of
// stsbackup's buckets do, and so do their parts (Sub).
type FolderLister interface {
	// Folders returns the names, without slashes and in lexical order, of the folders directly below prefix: each
	// element that stands between prefix and a later slash in the name of some object. The prefix is empty or ends
	// in a slash; any other fails with ErrName. A folder exists only as long as there is an object below it.
	Folders(ctx context.Context, prefix string) ([]string, error)
}

// Folders is FolderLister.Folders of any bucket; for one that is no FolderLister it looks at the name of every object.
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
	// Lexical order of names is not that of folders: "a-b/x" comes before "a/x".
	slices.Sort(folders)
	return slices.Compact(folders), nil
}

// ValidFolderPrefix reports whether prefix is one that FolderLister accepts: empty, or a valid name and a slash.
func ValidFolderPrefix(prefix string) bool {
	folder, slash := strings.CutSuffix(prefix, "/")
	return prefix == "" || slash && ValidName(folder)
}
