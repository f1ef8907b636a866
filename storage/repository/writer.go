package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

const (
	// dataPackers is how many packs of file content are filled at once: one for each worker. Blobs of different files
	// mix in them, which hides where in a pack a file begins and how large its pieces are.
	dataPackers = 2
	// treePackers is the same for trees, of which there are far fewer.
	treePackers = 1
	// dataBuffers is one more, so that a full pack travels while the next ones fill; with a slow bucket all of them
	// travel at once. Packs of trees fill so seldom that the next one can wait for it.
	dataBuffers = dataPackers + 1
	treeBuffers = treePackers
	// indexLimit is the estimated size at which an index object is written. The format allows 8 MiB; a smaller object
	// takes less memory to read and, several times over, to make.
	indexLimit = 1 << 20
	// dataPackSize is the size up to which packs of file content are filled, in bytes. Several are in memory at once,
	// so it is half of the 16 MiB that restic uses by default; the format allows 4 MiB.
	dataPackSize = 8 << 20
	// treePackSize is the same for trees. There are far fewer of them, and a smaller pack takes less memory.
	treePackSize = 4 << 20
)

// WriterStats counts what a Writer has stored.
type WriterStats struct {
	// DataBlobs and TreeBlobs are the blobs that were not in the repository before.
	DataBlobs, TreeBlobs int64
	// Added is their plain size, Packed their compressed and sealed size, in bytes.
	Added, Packed int64
	// Stored is the size of all objects that were written, in bytes.
	Stored int64
}

// Writer adds blobs to a repository: call SaveBlob for each of them, from any number of goroutines, then Flush once.
// Only after Flush may a repository snapshot name them.
type Writer struct {
	repo *Repository
	// ctx spans the uploads, which outlive the calls that cause them. It ends with the first failed upload, and with
	// parent, the context that the Writer was made with.
	ctx     context.Context
	parent  context.Context
	uploads *errgroup.Group
	// packers are those that nobody is using at the moment.
	packers map[BlobType]chan *packfile.Builder
	// buffers are those without a pack. They are most of the memory of a backup.
	buffers map[BlobType]chan []byte

	mu      sync.Mutex
	claimed map[BlobType]map[ID]struct{} // blobs on their way that the index does not know yet
	left    unindexed

	dataBlobs, treeBlobs, added, packed, stored atomic.Int64
}

// NewWriter makes a Writer. Its uploads end with ctx, the lock's context. The index must have been loaded.
func (r *Repository) NewWriter(ctx context.Context) (*Writer, error) {
	if err := r.Writable(); err != nil {
		return nil, err
	}
	w := &Writer{
		repo: r, parent: ctx,
		packers: map[BlobType]chan *packfile.Builder{},
		buffers: map[BlobType]chan []byte{},
		claimed: map[BlobType]map[ID]struct{}{DataBlob: {}, TreeBlob: {}},
	}
	w.uploads, w.ctx = errgroup.WithContext(ctx)
	if err := errors.Join(w.addPackers(DataBlob, dataPackers, dataBuffers), w.addPackers(TreeBlob, treePackers, treeBuffers)); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *Writer) addPackers(t BlobType, count, buffered int) error {
	packers, buffers := make(chan *packfile.Builder, count), make(chan []byte, buffered)
	level := w.repo.options.Compression
	if t == TreeBlob && level == compress.Off {
		level = compress.Default
	}
	for range count {
		compressor, err := compress.NewCompressor(level)
		if err != nil {
			return err
		}
		packers <- packfile.NewBuilder(t, packLimit(t), w.repo.sealer, compressor)
	}
	for range cap(buffers) {
		buffers <- nil // made at first use: small backups never need them all
	}
	w.packers[t], w.buffers[t] = packers, buffers
	return nil
}

func packLimit(t BlobType) int {
	if t == TreeBlob {
		return treePackSize
	}
	return dataPackSize
}

// SaveBlob stores plain unless the repository has it, and returns its id. It does not keep plain after the call. After
// an error the Writer is useless, and Flush fails too.
func (w *Writer) SaveBlob(ctx context.Context, t BlobType, plain []byte) (ID, error) {
	if w.left.overdue(w.repo.Now()) {
		w.uploads.Go(func() error { return w.saveLeft(w.ctx) })
	}
	id, p := w.hash(t, plain)
	if !w.claim(t, id) {
		if p != nil {
			w.packers[t] <- p
		}
		return id, nil
	}
	if err := w.store(ctx, p, t, id, plain); err != nil {
		// Others may already rely on the claim, so Flush must fail too.
		w.uploads.Go(func() error { return err })
		return ID{}, err
	}
	return id, nil
}

// hash names a blob. If a packer is idle, the packer hashes the blob together with its pack, and now belongs to the
// caller.
func (w *Writer) hash(t BlobType, plain []byte) (ID, *packfile.Builder) {
	select {
	case p := <-w.packers[t]:
		return p.Name(plain), p
	default:
		return Hash(plain), nil
	}
}

// claim reports whether the blob is new and now the caller's to store. If another caller stores it, Flush makes sure of
// that.
func (w *Writer) claim(t BlobType, id ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, taken := w.claimed[t][id]; taken {
		return false
	}
	// A blob that cannot be looked up is stored once more.
	if _, known, _ := w.repo.index.Find(t, id); known {
		return false
	}
	w.claimed[t][id] = struct{}{}
	return true
}

// store adds a blob to the pack of p and gives p back. If p is nil, it uses the next idle packer.
func (w *Writer) store(ctx context.Context, p *packfile.Builder, t BlobType, id ID, plain []byte) (err error) {
	if p == nil {
		if p, err = receive(ctx, w.ctx, w.packers[t]); err != nil {
			return err
		}
	}
	defer func() { w.packers[t] <- p }()
	// Without a lock, or without working uploads, do not fill all buffers first.
	if err := cmp.Or(context.Cause(ctx), context.Cause(w.ctx)); err != nil {
		return err
	}
	if len(plain) > format.MaxBlobSize {
		return fmt.Errorf("a %s blob of %d bytes is larger than is allowed", t, len(plain))
	}
	if p.Full(len(plain)) {
		if err := w.dispatch(p); err != nil {
			return err
		}
	}
	if !p.Begun() {
		room, err := receive(ctx, w.ctx, w.buffers[t])
		if err != nil {
			return err
		}
		p.Begin(room)
	}
	packed, err := p.Add(id, plain)
	if err != nil {
		return err
	}
	w.count(t, len(plain), packed)
	return nil
}

// receive waits for a value, or for the end of one of two contexts.
func receive[T any](ctx, other context.Context, from <-chan T) (value T, err error) {
	select {
	case value = <-from:
		return value, nil
	case <-ctx.Done():
		return value, context.Cause(ctx)
	case <-other.Done():
		return value, context.Cause(other)
	}
}

// dispatch finishes the pack and uploads it in the background.
func (w *Writer) dispatch(p *packfile.Builder) error {
	buf, pack, err := p.Finish()
	if err != nil {
		return err
	}
	buffers, limit := w.buffers[p.Type()], p.Limit()
	w.uploads.Go(func() error {
		name := kindData.name(pack.ID)
		if err := w.repo.bucket.Put(storage.WithSum(w.ctx, pack.ID), name, buf); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		size := int64(len(buf))
		w.stored.Add(size)
		err := w.record(pack, size)
		if cap(buf) > limit { // it had to grow for one very large blob
			buf = nil
		}
		buffers <- buf[:0]
		return err
	})
	return nil
}

// Flush uploads everything collected and writes the rest of the index. When it returns nil, every blob saved before is
// stored for good. The Writer must not be used after it.
func (w *Writer) Flush() error {
	dispatched := w.dispatchAll()
	if err := w.uploads.Wait(); err != nil {
		return err // this also caused dispatched, if that failed too
	}
	if dispatched != nil {
		return dispatched
	}
	return w.saveLeft(w.parent)
}

// Abort gives up everything that is not uploaded yet, and returns when no upload is running any more. It writes an
// index of the uploaded packs, even if the Writer's context has ended, unless the lock is lost: so the next try need
// not store them again. The Writer must not be used after it.
func (w *Writer) Abort() {
	w.uploads.Go(func() error { return context.Canceled }) // ends the uploads' context
	_ = w.uploads.Wait()                                   // whatever it was, the caller has failed already
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.parent), w.repo.options.timing.cleanup/3)
	defer cancel()
	if confirmEnded(ctx, w.parent) == nil {
		_ = w.saveLeft(unlocked(ctx))
	}
}

func (w *Writer) dispatchAll() error {
	for _, packers := range w.packers {
		for range cap(packers) {
			p, err := receive(w.ctx, w.parent, packers)
			if err != nil {
				return err
			}
			if p.Empty() {
				continue
			}
			if err := w.dispatch(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// Stats says what has been stored so far.
func (w *Writer) Stats() WriterStats {
	return WriterStats{
		DataBlobs: w.dataBlobs.Load(), TreeBlobs: w.treeBlobs.Load(),
		Added: w.added.Load(), Packed: w.packed.Load(), Stored: w.stored.Load(),
	}
}

func (w *Writer) count(t BlobType, plain, packed int) {
	if t == TreeBlob {
		w.treeBlobs.Add(1)
	} else {
		w.dataBlobs.Add(1)
	}
	w.added.Add(int64(plain))
	w.packed.Add(int64(packed))
}
