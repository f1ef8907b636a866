package location

import (
	"context"
	"strings"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// Root is the place with one repository for each StatefulSet, and the password that opens them.
type Root struct {
	url      string
	bucket   storage.Bucket
	limits   Limits // of bucket
	password repository.Secret
}

// Open opens a root. It does not talk to the bucket yet.
func Open(config Config, password repository.Secret) (*Root, error) {
	bucket, err := OpenBucket(config)
	if err != nil {
		return nil, err
	}
	return &Root{url: config.URL, bucket: bucket, limits: config.Limits, password: password}, nil
}

// NewRoot makes a root in an open bucket without limits. url is the root's name.
func NewRoot(url string, bucket storage.Bucket, password repository.Secret) *Root {
	return &Root{url: url, bucket: bucket, password: password}
}

// URL is where the root is, as the user gave it.
func (r *Root) URL() string { return r.url }

// String is where the root is, for a message: its URL without the parameters.
func (r *Root) String() string {
	place, _, _ := strings.Cut(r.url, "?")
	return place
}

// Bucket is the bucket, or the part of it, with the repositories.
func (r *Root) Bucket() storage.Bucket { return r.bucket }

// Limits are the bucket's limits, as they were given.
func (r *Root) Limits() Limits { return r.limits }

// Password is the password of one StatefulSet's repository.
func (r *Root) Password(of catalog.Name) repository.Secret {
	return catalog.Password(r.password, of.Namespace, of.StatefulSet)
}

// Open opens the repository of a StatefulSet: its recovery points.
func (r *Root) Open(ctx context.Context, of catalog.Name) (*catalog.Catalog, error) {
	return catalog.Open(ctx, r.bucket, of.Namespace, of.StatefulSet, r.Password(of))
}

// OpenOrCreate makes the repository if there is none.
func (r *Root) OpenOrCreate(ctx context.Context, of catalog.Name) (*catalog.Catalog, error) {
	return catalog.OpenOrCreate(ctx, r.bucket, of.Namespace, of.StatefulSet, r.Password(of))
}

// Names are the StatefulSets that have a repository below the root, in lexical order.
func (r *Root) Names(ctx context.Context) ([]catalog.Name, error) {
	return catalog.Names(ctx, r.bucket)
}
