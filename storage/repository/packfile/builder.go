package packfile

import (
	"encoding/binary"

	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
	"github.com/stsbackup/stsbackup/storage/sha256pair"
)

// maxBlobs keeps a pack of very small blobs from having a table of contents larger than the blobs, and an index object
// from growing beyond its limit.
const maxBlobs = 8192

// Builder fills one pack after the other with blobs of one type. Only one goroutine at a time may use it.
type Builder struct {
	blobType   format.BlobType
	limit      int
	sealer     *seal.Sealer
	compressor *compress.Compressor // nil: blobs are stored as they are
	buf        []byte               // the pack so far; nil if none has begun
	blobs      []Blob
	sum        *sha256pair.Digest // hash of the first summed bytes of buf; nil for none
	summed     int
}

// NewBuilder makes a Builder of packs of about limit bytes. Without a compressor, blobs are stored as they are.
func NewBuilder(t format.BlobType, limit int, sealer *seal.Sealer, compressor *compress.Compressor) *Builder {
	return &Builder{blobType: t, limit: limit, sealer: sealer, compressor: compressor}
}

// Type is the type of the blobs.
func (p *Builder) Type() format.BlobType { return p.blobType }

// Limit is the size that a pack grows to, unless one blob is larger.
func (p *Builder) Limit() int { return p.limit }

// Begun reports whether the Builder has a buffer for a pack.
func (p *Builder) Begun() bool { return p.buf != nil }

// Begin gives the Builder a buffer for the next pack, until that pack is finished. If room is nil, Begin makes one:
// growing a buffer bit by bit would need the memory several times over.
func (p *Builder) Begin(room []byte) {
	if room == nil {
		room = make([]byte, 0, p.limit)
	}
	p.buf = room[:0]
}

// Empty reports whether the pack has no blobs yet.
func (p *Builder) Empty() bool { return len(p.blobs) == 0 }

// Name names a blob. While it hashes the blob, it also hashes as much of the pack as takes no extra time.
func (p *Builder) Name(plain []byte) format.ID {
	if p.sum == nil {
		p.sum = sha256pair.New()
	}
	blob, next := sha256pair.New(), p.buf[p.summed:min(p.summed+len(plain), len(p.buf))]
	sha256pair.Both(blob, plain, p.sum, next)
	p.summed += len(next)
	return blob.Sum()
}

// need is how much room a blob of this plain length can take at most, with its share of the table of contents.
func (p *Builder) need(plain int) int {
	packed := plain
	if p.compressor != nil {
		packed = max(plain, p.compressor.Bound(plain))
	}
	return packed + seal.Overhead + headerEntrySize
}

// headerRoom is how much room the table of contents of the pack so far will take.
func (p *Builder) headerRoom() int { return len(p.blobs)*headerEntrySize + seal.Overhead + 4 }

// Full reports whether the pack must be finished before a blob of this plain length is added.
func (p *Builder) Full(plain int) bool {
	return len(p.blobs) > 0 &&
		(len(p.blobs) >= maxBlobs || len(p.buf)+p.headerRoom()+p.need(plain) > p.limit)
}

// Add compresses and seals a blob directly into the pack, and returns how many bytes it takes there.
func (p *Builder) Add(id format.ID, plain []byte) (int, error) {
	blob := Blob{ID: id, Type: p.blobType, Offset: uint32(len(p.buf))}
	buf, compressed, err := p.seal(plain)
	if err != nil {
		return 0, err
	}
	if compressed {
		blob.UncompressedLength = uint32(len(plain))
	}
	blob.Length = uint32(len(buf) - len(p.buf))
	p.buf, p.blobs = buf, append(p.blobs, blob)
	return int(blob.Length), nil
}

// seal appends the sealed form of plain to the pack so far, compressed if that makes it smaller.
func (p *Builder) seal(plain []byte) (buf []byte, compressed bool, err error) {
	if p.compressor != nil {
		var iv [seal.IVSize]byte
		buf = p.compressor.Compress(append(p.buf, iv[:]...), plain)
		if packed := len(buf) - len(p.buf) - seal.IVSize; packed > 0 && packed < len(plain) {
			buf, err = p.sealer.SealTail(buf, len(p.buf))
			return buf, true, err
		}
		p.buf = buf[:len(p.buf)] // the buffer may have grown
	}
	buf, err = p.sealer.Seal(p.buf, plain)
	return buf, false, err
}

// Finish appends the table of contents and returns the whole pack and its description for the index. The Builder is
// empty after that.
func (p *Builder) Finish() ([]byte, Pack, error) {
	buf, err := appendHeader(p.buf, p.blobs, p.sealer)
	if err != nil {
		return nil, Pack{}, err
	}
	if p.sum == nil {
		p.sum = sha256pair.New()
	}
	p.sum.Add(buf[p.summed:])
	pack := Pack{ID: p.sum.Sum(), Blobs: p.blobs}
	p.buf, p.blobs, p.sum, p.summed = nil, nil, nil, 0
	return buf, pack, nil
}

// OfOne makes a pack with one blob that is too large for a Builder. text is room for an initialisation vector, followed
// by the blob as it will be sealed. OfOne sets the blob's Length and Offset.
func OfOne(blob Blob, text []byte, sealer *seal.Sealer) ([]byte, Pack, error) {
	sealed, err := sealer.SealTail(text, 0)
	if err != nil {
		return nil, Pack{}, err
	}
	blob.Offset, blob.Length = 0, uint32(len(sealed))
	blobs := []Blob{blob}
	buf, err := appendHeader(sealed, blobs, sealer)
	if err != nil {
		return nil, Pack{}, err
	}
	return buf, Pack{ID: format.Hash(buf), Blobs: blobs}, nil
}

// appendHeader appends the table of contents of these blobs to them.
func appendHeader(buf []byte, blobs []Blob, sealer *seal.Sealer) ([]byte, error) {
	start := len(buf)
	var iv [seal.IVSize]byte
	buf = append(buf, iv[:]...)
	for _, blob := range blobs {
		buf = AppendHeaderEntry(buf, blob)
	}
	buf, err := sealer.SealTail(buf, start)
	if err != nil {
		return nil, err
	}
	return binary.LittleEndian.AppendUint32(buf, uint32(len(buf)-start)), nil
}
