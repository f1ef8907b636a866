package storage

import (
	"context"
	"fmt"
)

// Pace waits until n more bytes may be sent, or returns the cause of the context's end.
type Pace func(ctx context.Context, n int) error

// PacedPutter is an additional interface of a Bucket that can send an object part by part. The buckets of packages s3
// and local, and their parts (Sub), implement it.
type PacedPutter interface {
	// PutPaced is Bucket.Put, but calls pace, unless that is nil, before it sends each part of the data, also when it
	// sends the part again.
	PutPaced(ctx context.Context, name string, data []byte, pace Pace) error
}

// PutPaced is PacedPutter.PutPaced for any bucket; if the bucket is no PacedPutter, it waits for all of the data at
// once.
func PutPaced(ctx context.Context, bucket Bucket, name string, data []byte, pace Pace) error {
	if paced, ok := bucket.(PacedPutter); ok {
		return paced.PutPaced(ctx, name, data, pace)
	}
	if pace == nil {
		return bucket.Put(ctx, name, data)
	}
	if err := pace(ctx, len(data)); err != nil {
		return fmt.Errorf("put %s in %s: %w", name, bucket, err)
	}
	return bucket.Put(ctx, name, data)
}
