package limit

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

const (
	// DefaultConnections is more than any work of stsbackup has running at once, and few enough for any service.
	DefaultConnections = 16
	// MinConnections is how many connections all work of stsbackup needs to go on.
	MinConnections = 2

	// small is the size below which a Put ends so soon that it need not queue with large ones.
	small = 64 << 10
)

// Limits say how much of a bucket's line and service may be used. The zero value is DefaultConnections and nothing
// else.
type Limits struct {
	// Upload and Download are in bytes per second; 0 means no limit.
	Upload, Download int64
	// Connections is how many operations may run at once. 0 means DefaultConnections; less than MinConnections means
	// MinConnections.
	Connections int
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Bucket is a storage.Bucket whose use is limited. New makes one.
type Bucket struct {
	bucket           storage.Bucket
	upload, download *pace
	// all bounds all operations; gets and puts bound streams and large objects, which leave one slot to the others.
	all, gets, puts slots
}

// New limits the use of bucket. Everything done through the Bucket shares the limits, whoever does it.
func New(bucket storage.Bucket, limits Limits) *Bucket {
	if limits.Now == nil {
		limits.Now = time.Now //nolint:forbidigo // the default of the injected clock
	}
	if limits.Connections == 0 {
		limits.Connections = DefaultConnections
	}
	connections := max(limits.Connections, MinConnections)
	return &Bucket{
		bucket: bucket,
		upload: newPace(limits.Upload, limits.Now), download: newPace(limits.Download, limits.Now),
		all: make(slots, connections), gets: make(slots, connections-1), puts: make(slots, connections-1),
	}
}

// slots counts running operations.
type slots chan struct{}

func (s slots) acquire(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s slots) release() { <-s }

// enter waits for a slot in each of what, in order. leave returns these slots.
func (b *Bucket) enter(ctx context.Context, verb, name string, what ...slots) (leave func(), err error) {
	for i, s := range what {
		if err := s.acquire(ctx); err != nil {
			releaseAll(what[:i])
			return nil, fmt.Errorf("%s %s in %s: %w", verb, name, b.bucket, err)
		}
	}
	return func() { releaseAll(what) }, nil
}

func releaseAll(what []slots) {
	for _, s := range what {
		s.release()
	}
}

// Get implements storage.Bucket.
func (b *Bucket) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	leave, err := b.enter(ctx, "get", name, b.gets, b.all)
	if err != nil {
		return nil, err
	}
	body, err := b.bucket.Get(ctx, name, offset, length)
	if err != nil {
		leave()
		return nil, err
	}
	return &reader{ctx: ctx, bucket: b, name: name, body: body, leave: leave}, nil
}

// Put implements storage.Bucket.
func (b *Bucket) Put(ctx context.Context, name string, data []byte) error {
	what := []slots{b.puts, b.all}
	if len(data) < small {
		what = what[1:]
	}
	leave, err := b.enter(ctx, "put", name, what...)
	if err != nil {
		return err
	}
	defer leave()
	var pace storage.Pace
	if b.upload != nil {
		pace = b.upload.take
	}
	return storage.PutPaced(ctx, b.bucket, name, data, pace)
}

// Stat implements storage.Bucket.
func (b *Bucket) Stat(ctx context.Context, name string) (storage.Info, error) {
	leave, err := b.enter(ctx, "stat", name, b.all)
	if err != nil {
		return storage.Info{}, err
	}
	defer leave()
	return b.bucket.Stat(ctx, name)
}

// List implements storage.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	leave, err := b.enter(ctx, "list", prefix, b.all)
	if err != nil {
		return err
	}
	defer func() { leave() }()
	return b.bucket.List(ctx, prefix, func(info storage.Info) error {
		leave()
		leave = func() {}
		if err := fn(info); err != nil {
			return err
		}
		again, err := b.enter(ctx, "list", prefix, b.all)
		if err == nil {
			leave = again
		}
		return err
	})
}

// Folders implements storage.FolderLister.
func (b *Bucket) Folders(ctx context.Context, prefix string) ([]string, error) {
	leave, err := b.enter(ctx, "list", prefix, b.all)
	if err != nil {
		return nil, err
	}
	defer leave()
	return storage.Folders(ctx, b.bucket, prefix)
}

// Delete implements storage.Bucket.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	leave, err := b.enter(ctx, "delete", name, b.all)
	if err != nil {
		return err
	}
	defer leave()
	return b.bucket.Delete(ctx, name)
}

// String implements storage.Bucket.
func (b *Bucket) String() string { return b.bucket.String() }
