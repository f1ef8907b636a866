package repository

import (
	"encoding/binary"

	"github.com/stsbackup/stsbackup/storage/sha256pair"
)

const (
	// dataPackSize is what packs of file content are filled up to, in bytes. Several are held in memory, so it is half
	// of the 16 MiB that restic takes by default; the format allows 4 MiB.
	dataPackSize = 8 << 20
	// treePackSize is the same for trees. There is much less of them, and a smaller pack takes less memory.
	treePackSize = 4 << 20
	// maxPackBlobs keeps a pack of very small blobs from having a table of contents larger than they are, and an
	// index object from growing beyond its limit.
	maxPackBlobs = 8192
	// headerEntrySize is the length of one entry in a pack's table of contents, for a compressed blob.
	headerEntrySize = 1 + 4 + 4 + 32
)

// Types of entries in a pack's table of contents.
const (
	entryData byte = iota
	entryTree
	entryCompressedData
	entryCompressedTree
)

// packer fills one pack after the other with blobs of one type. It is used by one goroutine at a time.
type packer struct {
	blobType   BlobType
	limit      int
	sealer     *sealer
	compressor *compressor // nil: blobs are stored as they are
	buf        []byte      // the pack so far; nil when there is none
	blobs      []indexBlob
	sum        *sha256pair.Digest // of the first summed bytes of buf; nil for none
	summed     int
}

// hash names a blob. Beside it, it hashes as much of the pack as it can without taking longer.
func (p *packer) hash(plain []byte) ID {
	if p.sum == nil {
		p.sum = sha256pair.New()
	}
	blob, next := sha256pair.New(), p.buf[p.summed:min(p.summed+len(plain), len(p.buf))]
	sha256pair.Both(blob, plain, p.sum, next)
	p.summed += len(next)
	return blob.Sum()
}

// need is how much room a blob of this plain length can take at most, with its share of the header.
func (p *packer) need(plain int) int {
	packed := plain
	if p.compressor != nil {
		packed = max(plain, p.compressor.bound(plain))
	}
	return packed + sealedOverhead + headerEntrySize
}

// room is how much the header of the pack so far will take.
func (p *packer) headerRoom() int { return len(p.blobs)*headerEntrySize + sealedOverhead + 4 }

// full reports whether the pack must be finished before a blob of this plain length is added.
func (p *packer) full(plain int) bool {
	return len(p.blobs) > 0 &&
		(len(p.blobs) >= maxPackBlobs || len(p.buf)+p.headerRoom()+p.need(plain) > p.limit)
}

// add compresses and seals a blob straight into the pack, and returns how many bytes it took there.
func (p *packer) add(id ID, plain []byte) (int, error) {
	blob := indexBlob{ID: id, Type: p.blobType, Offset: uint32(len(p.buf))}
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
func (p *packer) seal(plain []byte) (buf []byte, compressed bool, err error) {
	if p.compressor != nil {
		var iv [ivSize]byte
		buf = p.compressor.compress(append(p.buf, iv[:]...), plain)
		if packed := len(buf) - len(p.buf) - ivSize; packed > 0 && packed < len(plain) {
			buf, err = p.sealer.sealTail(buf, len(p.buf))
			return buf, true, err
		}
		p.buf = buf[:len(p.buf)] // it may have had to grow
	}
	buf, err = p.sealer.seal(p.buf, plain)
	return buf, false, err
}

// finish appends the header and returns the whole pack and what the index must know about it. The packer is empty
// after that.
func (p *packer) finish() ([]byte, indexPack, error) {
	start := len(p.buf)
	var iv [ivSize]byte
	buf := append(p.buf, iv[:]...)
	for _, blob := range p.blobs {
		buf = appendHeaderEntry(buf, blob)
	}
	buf, err := p.sealer.sealTail(buf, start)
	if err != nil {
		return nil, indexPack{}, err
	}
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(buf)-start))
	if p.sum == nil {
		p.sum = sha256pair.New()
	}
	p.sum.Add(buf[p.summed:])
	pack := indexPack{ID: p.sum.Sum(), Blobs: p.blobs}
	p.buf, p.blobs, p.sum, p.summed = nil, nil, nil, 0
	return buf, pack, nil
}

func appendHeaderEntry(buf []byte, blob indexBlob) []byte {
	kind := entryData
	if blob.Type == TreeBlob {
		kind = entryTree
	}
	if blob.UncompressedLength != 0 {
		kind += entryCompressedData
	}
	buf = binary.LittleEndian.AppendUint32(append(buf, kind), blob.Length)
	if blob.UncompressedLength != 0 {
		buf = binary.LittleEndian.AppendUint32(buf, blob.UncompressedLength)
	}
	return append(buf, blob.ID[:]...)
}
