package s3

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/stsbackup/stsbackup/storage"
)

// pageSize is how many objects S3 lists at once.
const pageSize = 1000

// List implements storage.Bucket. In doubt (storage.WithDoubt) it does not believe the server that a listing is
// complete.
func (b *Bucket) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	c := call{"list", prefix, actionList}
	if !storage.ValidPrefix(prefix) {
		if ctx.Err() != nil {
			return b.ended(ctx, c)
		}
		return nil // no object can have this prefix
	}
	for last, pages := "", 0; ; pages++ {
		page, err := b.page(ctx, c, last)
		if err != nil {
			return err
		}
		for _, object := range page {
			if ctx.Err() != nil {
				return b.ended(ctx, c)
			}
			// Objects that others have put there under names that cannot be used here, like the names of folders, are
			// not ours.
			if !storage.ValidName(object.Key) {
				continue
			}
			if err := fn(
				storage.Info{Name: object.Key, Size: object.Size, Modified: object.LastModified, Archived: archiveClass(object.StorageClass)},
			); err != nil {
				return err
			}
		}
		next, more := following(prefix, last, page, storage.InDoubt(ctx))
		switch {
		case ctx.Err() != nil:
			return b.ended(ctx, c)
		case !more:
			return nil
		case pages == maxPages:
			return b.explain(c, classify(errEndless, b.facts(c)), 1)
		}
		last = next
	}
}

// archiveClass reports the classes of AWS and Alibaba whose objects must be restored before anybody can read them.
func archiveClass(class string) bool {
	return slices.Contains([]string{"GLACIER", "DEEP_ARCHIVE", "Archive", "ColdArchive", "DeepColdArchive"}, class)
}

// following says whether the listing goes on after a page, and after which name. last is the name that the page came
// after. In doubt the listing goes on until a page that begins after a name is empty.
func following(prefix, last string, page []minio.ObjectInfo, doubt bool) (next string, more bool) {
	switch {
	case len(page) > 0:
		return page[len(page)-1].Key, doubt || len(page) == pageSize
	case last == "":
		return prefix, doubt && prefix != ""
	default:
		return "", false
	}
}

// page returns up to pageSize objects with names after last; if there are fewer, they are the last ones, as the server
// says.
func (b *Bucket) page(ctx context.Context, c call, last string) (page []minio.ObjectInfo, err error) {
	err = b.try(ctx, c, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, b.small)
		defer cancel()
		ctx, course := withCourse(ctx)
		page = page[:0]
		seen := map[string]bool{}
		options := minio.ListObjectsOptions{Prefix: c.name, Recursive: true, StartAfter: last, MaxKeys: pageSize, FetchOwner: new(bool)}
		for object := range b.client.ListObjectsIter(ctx, b.config.Bucket, options) {
			if object.Err != nil {
				return cause(ctx, ofListing(object.Err))
			}
			if last != "" && object.Key == last {
				continue // some services begin with the name itself
			}
			if err := plausible(object.Key, c.name, last, seen); err != nil {
				return err
			}
			course.gain()
			seen[object.Key] = true
			page = append(page, object)
			if len(page) == pageSize {
				break
			}
		}
		if ctx.Err() != nil {
			return cause(ctx, ctx.Err()) // the iterator ends silently when the context does
		}
		return inOrder(page)
	})
	return page, err
}

// inOrder sorts a page that is out of order, as some services list. If more pages follow, the last name of such a page
// means nothing.
func inOrder(page []minio.ObjectInfo) error {
	byName := func(a, b minio.ObjectInfo) int { return strings.Compare(a.Key, b.Key) }
	if slices.IsSortedFunc(page, byName) {
		return nil
	}
	if len(page) == pageSize {
		return listingError("a listing has its names in no order")
	}
	slices.SortFunc(page, byName)
	return nil
}

// Folders implements storage.FolderLister.
func (b *Bucket) Folders(ctx context.Context, prefix string) ([]string, error) {
	if !storage.ValidFolderPrefix(prefix) {
		return nil, fmt.Errorf("list folders below %q in %s: %w", prefix, b, storage.ErrName)
	}
	var folders []string
	// Folders does not fetch page by page: to some services, what follows the name of a folder is that folder again.
	err := b.try(ctx, call{"list", prefix, actionList}, func(ctx context.Context) error {
		ctx, dog := watch(ctx, b.small) // for each page
		defer dog.release()
		ctx, course := withCourse(ctx)
		folders = folders[:0]
		seen := map[string]bool{}
		options := minio.ListObjectsOptions{Prefix: prefix, FetchOwner: new(bool)}
		for object := range b.client.ListObjectsIter(ctx, b.config.Bucket, options) {
			dog.feed()
			if object.Err != nil {
				return cause(ctx, ofListing(object.Err))
			}
			if !strings.HasPrefix(object.Key, prefix) {
				return stray(object.Key, prefix)
			}
			if !seen[object.Key] { // a folder may come again
				seen[object.Key] = true
				course.gain()
			}
			name, folder := strings.CutSuffix(strings.TrimPrefix(object.Key, prefix), "/")
			if folder && storage.ValidName(name) {
				folders = append(folders, name)
			}
		}
		return cause(ctx, ctx.Err())
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(folders)
	return slices.Compact(folders), nil
}
