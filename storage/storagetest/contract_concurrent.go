package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/storage"
)

// inParallel calls do for 0 … count-1, at most limit at a time, and ends the test if one fails.
func inParallel(t *testing.T, limit, count int, do func(int) error) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(limit)
	for i := range count {
		group.Go(func() error { return do(i) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func testCancelled(t *testing.T, bucket storage.Bucket) {
	put(t, bucket, "object", []byte("data"))
	cause := errors.New("the operator pressed ^C")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, getErr := get(ctx, bucket, "object", 0, -1)
	_, emptyErr := get(ctx, bucket, "object", 0, 0)
	_, statErr := bucket.Stat(ctx, "object")
	_, foldersErr := storage.Folders(ctx, bucket, "")
	for verb, err := range map[string]error{
		"Get": getErr, "Get of nothing": emptyErr, "Stat": statErr, "Folders": foldersErr,
		"Put":    bucket.Put(ctx, "other", []byte("data")),
		"Delete": bucket.Delete(ctx, "object"),
		"List":   bucket.List(ctx, "", func(storage.Info) error { t.Error("List called fn"); return nil }),
	} {
		if !errors.Is(err, cause) {
			t.Errorf("%s with a cancelled context: %v, want its cause", verb, err)
		}
	}
	wantObject(t, bucket, "object", []byte("data"))
	wantAbsent(t, bucket, "other")

	// One context that ends while a List runs.
	put(t, bucket, "object-2", nil)
	ctx, cancel = context.WithCancelCause(t.Context())
	calls := 0
	err := bucket.List(ctx, "", func(storage.Info) error { calls++; cancel(cause); return nil })
	if !errors.Is(err, cause) || calls != 1 {
		t.Errorf("List cancelled in its first call of fn: %d calls, %v; want 1 and the context's cause", calls, err)
	}
	// And one whose time has run out.
	ctx, cancelTimeout := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancelTimeout()
	if _, err := bucket.Stat(ctx, "object"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stat after the deadline: %v, want %v", err, context.DeadlineExceeded)
	}
}

func testCancelledWhileReading(t *testing.T, bucket storage.Bucket) {
	put(t, bucket, "object", random(5, 20<<20))
	cause := errors.New("lease lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	reader, err := bucket.Get(ctx, "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(reader, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel(cause)
	n, err := io.Copy(io.Discard, reader)
	if !errors.Is(err, cause) {
		t.Errorf("after the context ended: %d bytes and %v, want its cause", n, err)
	}
	if n > 19<<20 {
		t.Errorf("a reader went on for %d bytes after its context ended", n)
	}
	_ = reader.Close() // its error, if any, is the context's again
}

// testCancelledPut gives Puts ever more time, from none on, until one has enough. Whenever they end, the object is
// whole or not there at all; if it replaces another, the old object or the new one is there whole.
func (c Contract) testCancelledPut(t *testing.T, bucket storage.Bucket) {
	old, data := random(6, 1<<20), random(7, 16<<20)
	put(t, bucket, "replaced", old)
	cancelled := 0
	for limit := time.Duration(0); ; limit = max(2*limit, 100*time.Microsecond) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		newErr := bucket.Put(ctx, "new", data)
		replaceErr := bucket.Put(ctx, "replaced", data)
		cancel()
		for _, err := range []error{newErr, replaceErr} {
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("Put with %v: %v, want the context's error", limit, err)
			}
		}
		read, err := get(t.Context(), bucket, "new", 0, -1)
		absent, whole := errors.Is(err, storage.ErrNotExist), err == nil && bytes.Equal(read, data)
		if !whole && (!absent || newErr == nil) {
			t.Errorf("Put with %v returned %v and left %d of %d bytes, %v", limit, newErr, len(read), len(data), err)
		}
		read, err = get(t.Context(), bucket, "replaced", 0, -1)
		unchanged, whole := err == nil && bytes.Equal(read, old), err == nil && bytes.Equal(read, data)
		if !whole && (!unchanged || replaceErr == nil) {
			t.Errorf("Put over another with %v returned %v and left %d bytes that are neither, %v", limit, replaceErr, len(read), err)
		}
		if t.Failed() || newErr == nil && replaceErr == nil {
			break
		}
		cancelled++
		if err := bucket.Delete(t.Context(), "new"); err != nil {
			t.Fatal(err)
		}
		put(t, bucket, "replaced", old)
	}
	if cancelled == 0 {
		t.Error("no Put has ended with its context")
	}
	for _, name := range names(t, bucket, "") {
		if name != "new" && name != "replaced" && (c.Transient == nil || !c.Transient(name)) {
			t.Errorf("a cancelled Put left %q", name)
		}
	}
}

// fleeting is a context that ends as soon as somebody has checked whether it has ended.
type fleeting struct {
	context.Context
	end func()
}

func (f fleeting) Err() error {
	defer f.end()
	return f.Context.Err()
}

func (f fleeting) Done() <-chan struct{} {
	defer f.end()
	return f.Context.Done()
}

// testCancelledWhilePutting ends the context when a Put has begun, and when the Put has sent half of the data: it is
// not enough to check the context before that.
func testCancelledWhilePutting(t *testing.T, bucket storage.Bucket) {
	put(t, bucket, "replaced", []byte("old"))
	cause, data := errors.New("lease lost"), random(8, 16<<20)
	for _, name := range []string{"new", "replaced"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if err := bucket.Put(fleeting{ctx, func() { cancel(cause) }}, name, data); !errors.Is(err, cause) {
			t.Errorf("Put(%q) whose context ends after the first look at it: %v, want its cause", name, err)
		}
		ctx, cancel = context.WithCancelCause(t.Context())
		var sent atomic.Int64
		err := storage.PutPaced(ctx, bucket, name, data, func(_ context.Context, n int) error {
			if sent.Add(int64(n)) > int64(len(data)/2) {
				cancel(cause)
			}
			return nil
		})
		if !errors.Is(err, cause) || sent.Load() <= int64(len(data)/2) {
			t.Errorf("Put(%q) whose context ends half-way, after %d bytes: %v, want its cause", name, sent.Load(), err)
		}
	}
	wantAbsent(t, bucket, "new")
	wantObject(t, bucket, "replaced", []byte("old"))
}

// testConcurrentReplace has writers put different versions of one object while readers read it: each reader must see
// one whole version, and nothing else.
func (c Contract) testConcurrentReplace(t *testing.T, bucket storage.Bucket) {
	const versions, rounds = 3, 8
	version := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 1<<20+i*100_000) }
	put(t, bucket, "object", version(0))
	ctx := t.Context()
	inParallel(t, 2*versions, 2*versions, func(worker int) error {
		for range rounds {
			if worker < versions {
				if err := bucket.Put(ctx, "object", version(worker)); err != nil {
					return err
				}
				continue
			}
			data, err := get(ctx, bucket, "object", 0, -1)
			if err != nil {
				return err
			}
			if len(data) == 0 || data[0] < 'a' || data[0] >= 'a'+versions || !bytes.Equal(data, version(int(data[0]-'a'))) {
				return fmt.Errorf("read %d bytes that are no version of the object", len(data))
			}
			err = bucket.List(ctx, "", func(info storage.Info) error {
				if c.Transient != nil && c.Transient(info.Name) {
					return nil
				}
				if info.Name != "object" || (info.Size-1<<20)%100_000 != 0 {
					return fmt.Errorf("listed while it is being replaced: %+v", info)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// testConcurrentUse does everything at once, on objects in the same folders: folders come and go meanwhile.
func testConcurrentUse(t *testing.T, bucket storage.Bucket) {
	ctx := t.Context()
	inParallel(t, 8, 8, func(worker int) error {
		for round := range 10 {
			name, data := fmt.Sprintf("shared/%d/%d", round%2, worker), random(uint64(worker*100+round), 1000)
			if err := bucket.Put(ctx, name, data); err != nil {
				return err
			}
			if read, err := get(ctx, bucket, name, 0, -1); err != nil || !bytes.Equal(read, data) {
				return fmt.Errorf("%s after Put: %d bytes, %w", name, len(read), err)
			}
			mine := false
			err := bucket.List(ctx, "shared/", func(info storage.Info) error { mine = mine || info.Name == name; return nil })
			if err != nil || !mine {
				return fmt.Errorf("%s after Put: listed %v, %w", name, mine, err)
			}
			if _, err := storage.Folders(ctx, bucket, "shared/"); err != nil {
				return err
			}
			if err := bucket.Delete(ctx, name); err != nil {
				return err
			}
			if _, err := bucket.Stat(ctx, name); !errors.Is(err, storage.ErrNotExist) {
				return fmt.Errorf("%s after Delete: %w", name, err)
			}
		}
		return nil
	})
	if found := names(t, bucket, ""); len(found) != 0 {
		t.Errorf("left over: %q", found)
	}
}
