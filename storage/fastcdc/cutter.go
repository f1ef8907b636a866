package fastcdc

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// window is how many bytes a hash depends on.
const window = 64

// minKey is the least length of a key, in bytes.
const minKey = 16

// normalization is how many more bits are checked before the normal size, and fewer after it.
const normalization = 2

// Sizes are the sizes of pieces, in bytes. Normal is a power of two, and they grow from Min, which is at least 64, to
// Max.
type Sizes struct {
	// Min is the smallest size, except for the last piece of a stream.
	Min int
	// Normal is the size that pieces are close to.
	Normal int
	// Max is the largest size.
	Max int
}

// Cutter cuts as one key determines. It does not change, and is safe for concurrent use.
type Cutter struct {
	sizes        Sizes
	gear         [256]uint64
	before, then uint64 // masks up to the normal size, and behind it
}

// New makes a Cutter. The key is a secret of at least 16 bytes. New returns an error if the key is shorter, or if the
// sizes are not as Sizes says.
func New(key []byte, sizes Sizes) (*Cutter, error) {
	if sizes.Min < window || sizes.Normal < sizes.Min || sizes.Max < sizes.Normal || bits.OnesCount(uint(sizes.Normal)) != 1 {
		return nil, fmt.Errorf("cut into pieces of %d, %d and %d bytes: they must grow from %d on, and the one between be a power of two",
			sizes.Min, sizes.Normal, sizes.Max, window)
	}
	if len(key) < minKey {
		return nil, fmt.Errorf("cut by a key of %d bytes: it must have %d at least", len(key), minKey)
	}
	c := &Cutter{sizes: sizes}
	table, err := hkdf.Expand(sha256.New, key, "stsbackup gear table", 8*len(c.gear))
	if err != nil {
		return nil, fmt.Errorf("draw a table to cut by: %w", err)
	}
	for i := range c.gear {
		c.gear[i] = binary.LittleEndian.Uint64(table[8*i:])
	}
	normal := bits.Len(uint(sizes.Normal)) - 1
	c.before, c.then = mask(normal+normalization), mask(normal-normalization)
	return c, nil
}

// mask has ones bits, the highest one and others spread below it: the higher a bit, the more bytes it depends on.
func mask(ones int) (m uint64) {
	for i := range ones {
		m |= 1 << (63 - i*64/ones)
	}
	return m
}

// Next is the length of the piece with which data begins, if only the end of the stream follows data. If the result is
// len(data), less than Max, and more follows, the caller must pass more of the stream to find the end of the piece.
func (c *Cutter) Next(data []byte) int {
	if len(data) <= c.sizes.Min {
		return len(data)
	}
	data = data[:min(len(data), c.sizes.Max)]
	normal := min(len(data), c.sizes.Normal)
	// At the first byte at which the piece may end, the hash must depend on the content alone.
	var hash uint64
	start := c.sizes.Min - window
	for _, b := range data[start:c.sizes.Min] {
		hash = hash<<1 + c.gear[b]
	}
	n, hash, found := roll(&c.gear, data[c.sizes.Min:normal], hash, c.before)
	if found {
		return c.sizes.Min + n
	}
	n, _, _ = roll(&c.gear, data[normal:], hash, c.then)
	return normal + n
}

// roll looks for the first byte behind which the bits of mask are zero, and returns how many bytes end there. Without
// such a byte, it returns all of them and the hash at their end.
func roll(gear *[256]uint64, data []byte, hash, mask uint64) (n int, last uint64, found bool) {
	rest := data
	for ; len(rest) >= 8; rest = rest[8:] {
		eight := binary.LittleEndian.Uint64(rest)
		for i := 0; i < 8; i += 2 {
			first := gear[byte(eight)]
			both := first<<1 + gear[byte(eight>>8)]
			between := hash<<1 + first
			hash = hash<<2 + both
			if between&mask == 0 {
				return len(data) - len(rest) + i + 1, between, true
			}
			if hash&mask == 0 {
				return len(data) - len(rest) + i + 2, hash, true
			}
			eight >>= 16
		}
	}
	for i, b := range rest {
		if hash = hash<<1 + gear[b]; hash&mask == 0 {
			return len(data) - len(rest) + i + 1, hash, true
		}
	}
	return len(data), hash, false
}
