package limit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

var (
	_ storage.FolderLister = (*Bucket)(nil)
	_ storage.Bucket       = (*Bucket)(nil)
)

func TestKeepsTheContract(t *testing.T) {
	storagetest.Contract{Open: func(*testing.T) storage.Bucket {
		return New(storagetest.NewMemory(), Limits{Connections: MinConnections, Upload: math.MaxInt32, Download: math.MaxInt32})
	}}.Test(t)
}

// forgetful is a Bucket that sends everything in parts, as often as it is told to.
type forgetful struct {
	*storagetest.Memory
	times int
}

func (f forgetful) PutPaced(ctx context.Context, name string, data []byte, pace storage.Pace) error {
	for range f.times {
		for part := range bytes.Lines(data) {
			if err := pace(ctx, len(part)); err != nil {
				return err
			}
		}
	}
	return f.Put(ctx, name, data)
}

// elapsed is how long fn takes, by a clock that only moves while somebody waits.
func elapsed(fn func()) time.Duration {
	begun := time.Now()
	fn()
	return time.Since(begun)
}

// about reports whether so many bytes take this time at 1,000 bytes a second, where nobody waits for the first tenth of
// a second.
func about(took time.Duration, size int) bool {
	want := time.Duration(size) * time.Millisecond
	return took <= want && took >= want-600*time.Millisecond
}

func TestUploadsArePaced(t *testing.T) {
	lines := bytes.Repeat([]byte("123456789\n"), 1000)
	for name, test := range map[string]struct {
		bucket storage.Bucket
		puts   int
		sent   int
	}{
		"in parts":           {forgetful{storagetest.NewMemory(), 1}, 1, 10_000},
		"two at once":        {forgetful{storagetest.NewMemory(), 1}, 2, 20_000},
		"sent twice":         {forgetful{storagetest.NewMemory(), 2}, 1, 20_000},
		"as a whole":         {storagetest.NewMemory(), 1, 10_000},
		"a part of a bucket": {part(t, forgetful{storagetest.NewMemory(), 2}), 1, 20_000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bucket := New(test.bucket, Limits{Upload: 1000})
				took := elapsed(func() {
					var group sync.WaitGroup
					for i := range test.puts {
						group.Go(func() {
							if err := bucket.Put(t.Context(), string(rune('a'+i)), lines); err != nil {
								t.Error(err)
							}
						})
					}
					group.Wait()
				})
				if !about(took, test.sent) {
					t.Errorf("%d bytes were sent within %s at 1000 bytes a second", test.sent, took)
				}
			})
		})
	}
}

func part(t *testing.T, bucket storage.Bucket) storage.Bucket {
	t.Helper()
	sub, err := storage.Sub(bucket, "prefix")
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func TestDownloadsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storagetest.NewMemory()
		content := bytes.Repeat([]byte("0123456789"), 1000)
		if err := memory.Put(t.Context(), "object", content); err != nil {
			t.Fatal(err)
		}
		bucket := New(memory, Limits{Download: 1000})
		begun := time.Now()
		for range 2 { // the second finds only the tokens that the first has left
			body, err := bucket.Get(t.Context(), "object", 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			_ = body.Close()
		}
		if took := time.Since(begun); !about(took, 20_000) {
			t.Errorf("20000 bytes arrived within %s at 1000 bytes a second", took)
		}
		if took := elapsed(func() {
			if _, err := bucket.Stat(t.Context(), "object"); err != nil {
				t.Error(err)
			}
		}); took > 0 {
			t.Errorf("a Stat waited for %s", took)
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	cause := errors.New("lease lost")
	synctest.Test(t, func(t *testing.T) {
		bucket := New(storagetest.NewMemory(), Limits{Upload: 1000, Connections: 2})
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		failed := make(chan error)
		go func() { failed <- bucket.Put(ctx, "large", make([]byte, small)) }() // waits for tokens
		synctest.Wait()
		go func() { failed <- bucket.Put(ctx, "next", make([]byte, small)) }() // waits for a slot
		synctest.Wait()
		cancel(cause)
		for range 2 {
			if err := <-failed; !errors.Is(err, cause) {
				t.Errorf("a Put whose context has ended: %v", err)
			}
		}
		if _, err := bucket.Stat(t.Context(), "large"); !errors.Is(err, storage.ErrNotExist) {
			t.Errorf("it was stored all the same: %v", err)
		}
		if len(bucket.all)+len(bucket.puts) > 0 {
			t.Error("slots were not given back")
		}
	})
}
