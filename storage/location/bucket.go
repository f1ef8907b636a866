package location

import (
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/limit"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/s3"
)

// Config says where a repository root is, and how much of its bucket may be used.
type Config struct {
	// URL is s3://BUCKET/PREFIX?… or file:///DIRECTORY.
	URL    string
	Limits Limits
	// Create makes a missing directory. Buckets in S3 are for their owners to make.
	Create bool
	// Watch, unless nil, counts the operations on the bucket.
	Watch func(storage.Bucket) storage.Bucket
	// Getenv reads the environment: it completes URLs of S3, replaces missing limits, and says where credentials are.
	Getenv func(string) string
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// OpenBucket opens the bucket, or the part of it, that the URL names, within the limits. It does not talk to an S3
// service yet; a directory must exist, unless Create is set.
func OpenBucket(config Config) (storage.Bucket, error) {
	limits, err := config.Limits.read(config.Getenv)
	if err != nil {
		return nil, err
	}
	limits.Now = config.Now
	bucket, err := openUnlimited(config)
	if err != nil {
		return nil, err
	}
	if config.Watch != nil {
		bucket = config.Watch(bucket)
	}
	return limit.New(bucket, limits), nil
}

// openUnlimited is OpenBucket without limits.
func openUnlimited(config Config) (storage.Bucket, error) {
	scheme, err := schemeOf(config.URL)
	if err != nil {
		return nil, err
	}
	switch scheme {
	case fileScheme:
		dir, err := parseFileURL(config.URL)
		if err != nil {
			return nil, err
		}
		return local.Open(local.Config{Dir: dir, Create: config.Create, Now: config.Now})
	default:
		where, err := S3(config.URL, config.Getenv)
		if err != nil {
			return nil, err
		}
		bucket, err := s3.Open(where, config.Getenv)
		if err != nil {
			return nil, err
		}
		return storage.Sub(bucket, where.Prefix)
	}
}
