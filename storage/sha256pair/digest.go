package sha256pair

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Size is the length of a sum, in bytes.
const Size = sha256.Size

const blockSize = sha256.BlockSize

// Digest is a running SHA-256 of one message. New makes one. Only one goroutine at a time may use it.
type Digest struct {
	standard hash.Hash // does everything, if the processor lacks the instructions
	state    [8]uint32
	begun    [blockSize]byte // its first length%blockSize bytes will be hashed with those that follow
	length   uint64          // of the message so far, in bytes
}

// New makes a Digest of an empty message.
func New() *Digest {
	if !accelerated() {
		return &Digest{standard: sha256.New()}
	}
	return newDigest()
}

// newDigest makes a Digest that needs the processor's instructions. The state is from FIPS 180-4, 5.3.3.
func newDigest() *Digest {
	return &Digest{state: [8]uint32{
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	}}
}

// Add hashes the next part of the message.
func (d *Digest) Add(part []byte) {
	if d.standard != nil {
		d.standard.Write(part)
		return
	}
	part = d.complete(part)
	if n := len(part) / blockSize; n > 0 {
		blocks(&d.state, &part[0], n)
	}
	d.begin(part)
}

// Both hashes the next part of one message and of another, at once. The two Digests must differ.
func Both(d *Digest, part []byte, e *Digest, other []byte) {
	if d.standard == nil && e.standard == nil {
		part, other = d.complete(part), e.complete(other)
		if n := min(len(part), len(other)) / blockSize; n > 0 {
			blocksOfTwo(&d.state, &e.state, &part[0], &other[0], n)
			part, other = part[n*blockSize:], other[n*blockSize:]
			d.length += uint64(n) * blockSize
			e.length += uint64(n) * blockSize
		}
	}
	d.Add(part)
	e.Add(other)
}

// complete hashes the begun block, if part is long enough to complete it, and returns the rest of part.
func (d *Digest) complete(part []byte) []byte {
	begun := int(d.length % blockSize)
	if begun == 0 || begun+len(part) < blockSize {
		return part
	}
	n := copy(d.begun[begun:], part)
	blocks(&d.state, &d.begun[0], 1)
	d.length += uint64(n)
	return part[n:]
}

// begin keeps the bytes at the end of part that are no whole block. The whole blocks of part have been hashed.
func (d *Digest) begin(part []byte) {
	whole := len(part) / blockSize * blockSize
	copy(d.begun[d.length%blockSize:], part[whole:])
	d.length += uint64(len(part))
}

// Sum is the hash of the message so far. More can be added after that.
func (d *Digest) Sum() (sum [Size]byte) {
	if d.standard != nil {
		d.standard.Sum(sum[:0])
		return sum
	}
	last := *d
	// A one bit, zeros, and the length in bits fill the last block, or the last two.
	padding := [2 * blockSize]byte{0x80}
	zeros := (blockSize + 55 - int(d.length%blockSize)) % blockSize
	binary.BigEndian.PutUint64(padding[1+zeros:], d.length*8)
	last.Add(padding[:1+zeros+8])
	for i, word := range last.state {
		binary.BigEndian.PutUint32(sum[4*i:], word)
	}
	return sum
}
