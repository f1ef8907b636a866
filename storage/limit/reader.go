package limit

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// reader pays for what it reads, and holds a slot until it is closed.
type reader struct {
	ctx    context.Context
	bucket *Bucket
	name   string
	body   io.ReadCloser
	once   sync.Once
	leave  func()
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p[:r.bucket.download.piece(len(p))])
	if paceErr := r.bucket.download.take(r.ctx, n); paceErr != nil && err == nil {
		err = fmt.Errorf("get %s in %s: %w", r.name, r.bucket, paceErr)
	}
	return n, err
}

func (r *reader) Close() error {
	defer r.once.Do(r.leave)
	return r.body.Close()
}
