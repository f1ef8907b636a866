package archive_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// metered is a bucket that watches how packs of file content are read. It answers such reads only after several have
// been requested.
type metered struct {
	storage.Bucket
	packs map[string]bool // names
	want  int             // reads at once

	mu      sync.Mutex
	open    int
	most    int
	spans   []span
	reached chan struct{} // closed once as many reads were running as are wanted
}

// span is the range that one read asks for.
type span struct {
	name        string
	offset, end int64
}

func (m *metered) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if !m.packs[name] {
		return m.Bucket.Get(ctx, name, offset, length)
	}
	m.begin(span{name: name, offset: offset, end: offset + length})
	select {
	case <-m.reached:
	case <-ctx.Done():
		return nil, fmt.Errorf("no %d reads at once: %w", m.want, context.Cause(ctx))
	}
	body, err := m.Bucket.Get(ctx, name, offset, length)
	return &meteredBody{ReadCloser: body, end: m.end}, err
}

func (m *metered) begin(s span) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spans = append(m.spans, s)
	m.open++
	if m.most = max(m.most, m.open); m.most == m.want && m.open == m.want {
		select {
		case <-m.reached:
		default:
			close(m.reached)
		}
	}
}

func (m *metered) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open--
}

// twice names a part of a pack that was read more than once.
func (m *metered) twice() string {
	slices.SortFunc(m.spans, func(a, b span) int { return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.offset, b.offset)) })
	for i := 1; i < len(m.spans); i++ {
		if a, b := m.spans[i-1], m.spans[i]; a.name == b.name && b.offset < a.end {
			return fmt.Sprintf("%+v and %+v", a, b)
		}
	}
	return ""
}

type meteredBody struct {
	io.ReadCloser
	end func()
}

func (b *meteredBody) Close() error {
	b.end()
	return b.ReadCloser.Close()
}

// TestRestoreReadsInParallel restores one large file, and many files with the same total size: both need as many reads
// at once, and nothing is read twice.
func TestRestoreReadsInParallel(t *testing.T) {
	t.Parallel()
	const size, atOnce = 30 << 20, 4
	for what, files := range map[string]int{"one file": 1, "a few files": 6, "many files": 192} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			source, target := t.TempDir(), t.TempDir()
			b := builder{t: t, root: source}
			for i := range files {
				b.file(fmt.Sprint("file", i), filler(size/files, uint64(2*i+1)), 0o644)
			}
			bed, memory := memoryBed(t)
			bed.backup(t, source)
			bucket := &metered{Bucket: memory, packs: bed.contentPacks(t), want: atOnce, reached: make(chan struct{})}
			repo := must(repository.Open(t.Context(), bucket, password, repository.Options{}))(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			result, err := archive.Restore(ctx, repo, archive.Target{Snapshot: bed.latest(t), Name: claim, Dir: target}, nil)
			if err != nil {
				t.Fatal(err)
			}
			same(t, source, target)
			if again := bucket.twice(); again != "" {
				t.Errorf("%s were both read", again)
			}
			if result.BytesRead > size+size/50 {
				t.Errorf("read %d bytes for %d", result.BytesRead, size)
			}
		})
	}
}

// meeting holds back the first pack until every participant has one to write.
type meeting struct {
	storage.Bucket
	once   sync.Once
	absent *sync.WaitGroup
}

func (m *meeting) Put(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, "data/") {
		m.once.Do(func() {
			m.absent.Done()
			m.absent.Wait()
		})
	}
	return m.Bucket.Put(ctx, name, data)
}

// contentPacks are the objects that hold the content of the files at the volume's root.
func (b bed) contentPacks(t *testing.T) map[string]bool {
	t.Helper()
	packs := map[string]bool{}
	root := must(archive.Lookup(t.Context(), b.repo, b.latest(t), claim, ""))(t)
	for _, node := range must(archive.Entries(t.Context(), b.repo, root))(t) {
		for _, id := range node.Content {
			at := must(b.repo.Locate(repository.DataBlob, id))(t)
			packs[filepath.Join("data", at.Pack.String()[:2], at.Pack.String())] = true
		}
	}
	return packs
}
