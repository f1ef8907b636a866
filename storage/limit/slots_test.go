package limit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// slow is a Bucket whose operations take a second, and that counts how many are running.
type slow struct {
	*storagetest.Memory
	now, most atomic.Int32
}

func (s *slow) work(fn func() error) error {
	if n := s.now.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.now.Add(-1)
	<-time.After(time.Second)
	return fn()
}

func (s *slow) Get(ctx context.Context, name string, offset, length int64) (body io.ReadCloser, err error) {
	return body, s.work(func() error { body, err = s.Memory.Get(ctx, name, offset, length); return err })
}

func (s *slow) Put(ctx context.Context, name string, data []byte) error {
	return s.work(func() error { return s.Memory.Put(ctx, name, data) })
}

func (s *slow) Stat(ctx context.Context, name string) (info storage.Info, err error) {
	return info, s.work(func() error { info, err = s.Memory.Stat(ctx, name); return err })
}

func (s *slow) Delete(ctx context.Context, name string) error {
	return s.work(func() error { return s.Memory.Delete(ctx, name) })
}

func (s *slow) Folders(ctx context.Context, prefix string) (folders []string, err error) {
	return folders, s.work(func() error { folders, err = s.Memory.Folders(ctx, prefix); return err })
}

func TestConnections(t *testing.T) {
	for limit, want := range map[int]int32{0: DefaultConnections, 1: MinConnections, 2: 2, 5: 5} {
		synctest.Test(t, func(t *testing.T) {
			medium := &slow{Memory: storagetest.NewMemory()}
			bucket := New(medium, Limits{Connections: limit})
			var group sync.WaitGroup
			took := elapsed(func() {
				for i := range 40 {
					name := fmt.Sprintf("object-%d", i)
					group.Go(func() {
						err := bucket.Put(t.Context(), name, []byte("data"))
						_, statErr := bucket.Stat(t.Context(), name)
						_, foldersErr := bucket.Folders(t.Context(), "")
						body, getErr := bucket.Get(t.Context(), name, 0, -1)
						if getErr == nil {
							_ = body.Close()
						}
						if err := errors.Join(err, statErr, foldersErr, getErr, bucket.Delete(t.Context(), name)); err != nil {
							t.Error(err)
						}
					})
				}
				group.Wait()
			})
			if most := medium.most.Load(); most != want {
				t.Errorf("%d operations were under way at once with --connections %d, want %d", most, limit, want)
			}
			if least := 200 * time.Second / time.Duration(want); took < least || took > 3*least {
				t.Errorf("200 operations of a second each took %s, %d at a time", took, want)
			}
		})
	}
}

// TestNobodyWaitsForEver imitates callers whose work goes on only if others' work does.
func TestNobodyWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		bucket := New(storagetest.NewMemory(), Limits{Connections: MinConnections})
		put := func(name string, size int) {
			t.Helper()
			if err := bucket.Put(ctx, name, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
		}
		put("old", 10)
		// A copier puts what it reads while it reads.
		body, err := bucket.Get(ctx, "old", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		put("new", small)
		// A second reader waits until the first is closed.
		second := make(chan error)
		go func() {
			body, err := bucket.Get(ctx, "old", 0, -1)
			if err == nil {
				err = body.Close()
			}
			second <- err
		}()
		synctest.Wait()
		select {
		case err := <-second:
			t.Errorf("two streams at once: %v", err)
		default:
		}
		_ = body.Close()
		_ = body.Close() // gives its slot back once
		if err := <-second; err != nil {
			t.Error(err)
		}
		if len(bucket.all)+len(bucket.gets)+len(bucket.puts) > 0 {
			t.Error("slots were not given back")
		}
	})
}

// stuck is a Bucket that keeps Puts of large objects waiting.
type stuck struct {
	*storagetest.Memory
	until chan struct{}
}

func (s stuck) Put(ctx context.Context, name string, data []byte) error {
	if len(data) >= small {
		<-s.until
	}
	return s.Memory.Put(ctx, name, data)
}

// TestLocksAreNotHeldUp renews a lock while more packs than there are connections are stuck on a line.
func TestLocksAreNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		medium := stuck{storagetest.NewMemory(), make(chan struct{})}
		bucket := New(medium, Limits{Connections: MinConnections})
		var packs sync.WaitGroup
		for i := range 5 {
			packs.Go(func() {
				if err := bucket.Put(t.Context(), fmt.Sprintf("data/%d", i), make([]byte, small)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if err := errors.Join(bucket.Put(t.Context(), "locks/new", []byte("lock")), bucket.Delete(t.Context(), "locks/old")); err != nil {
			t.Error(err)
		}
		close(medium.until)
		packs.Wait()
	})
}
