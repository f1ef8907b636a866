package compress

import (
	"fmt"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"
)

const (
	// smallBlob is up to where the tables of the thorough encoder cost more than they gain, in bytes.
	smallBlob = 4 << 10
	// sampleParts stretches of samplePart bytes, spread over a blob, are the sample that tells what kind it is of. Blobs
	// that are not much larger than that are not worth a sample.
	sampleParts = 4
	samplePart  = 8 << 10
	sampledBlob = 4 * sampleParts * samplePart
	// noiseEntropy is the entropy, in bits per byte, from which on coding literals would save less than a tenth of them.
	// zstd does not begin to before a sixteenth.
	noiseEntropy = 7.25
	// worthwhile is what a sample must shrink to for its blob to be compressed, as a fraction.
	worthwhile = 0.97
)

// Compressor compresses blobs, each in the way that pays for it. Coding literals takes most of the time, in vain where
// they are noise: pages of a database that hold images, hashes or what is encrypted. There it only looks for repeats,
// and not even that where a sample has none. It is for use by one goroutine at a time.
type Compressor struct {
	thorough *zstd.Encoder // what the level stands for
	quick    *zstd.Encoder // for small blobs
	repeats  *zstd.Encoder // codes no literals; nil if everything is for the thorough one
	sample   []byte
	probe    []byte // the sample, compressed
}

// NewCompressor makes a Compressor; nil if there is nothing to compress.
func NewCompressor(level Level) (*Compressor, error) {
	if level == Off {
		return nil, nil
	}
	thorough, err := newEncoder(level.zstd(), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return nil, err
	}
	if level == Max {
		return &Compressor{thorough: thorough}, nil
	}
	quick, err := newEncoder(zstd.SpeedFastest, zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return nil, err
	}
	repeats, err := newEncoder(zstd.SpeedFastest, zstd.WithNoEntropyCompression(true))
	if err != nil {
		return nil, err
	}
	return &Compressor{thorough: thorough, quick: quick, repeats: repeats}, nil
}

// Bound is how many bytes Compress appends at most.
func (c *Compressor) Bound(plain int) int { return c.thorough.MaxEncodedSize(plain) }

// Compress appends the compressed form of plain to dst, or nothing if plain is not to be compressed. What it appends
// may be longer than plain.
func (c *Compressor) Compress(dst, plain []byte) []byte {
	switch {
	case c.repeats == nil:
		return c.thorough.EncodeAll(plain, dst)
	case len(plain) <= smallBlob:
		return c.quick.EncodeAll(plain, dst)
	case len(plain) < sampledBlob:
		return c.thorough.EncodeAll(plain, dst)
	}
	c.sample = appendSample(c.sample[:0], plain)
	c.probe = c.repeats.EncodeAll(c.sample, c.probe[:0])
	switch {
	case leastEntropy(c.probe) < noiseEntropy:
		return c.thorough.EncodeAll(plain, dst)
	case float64(len(c.probe)) > worthwhile*float64(len(c.sample)):
		return dst
	default:
		return c.repeats.EncodeAll(plain, dst)
	}
}

// appendSample appends stretches from all over a blob, which is at least sampledBlob bytes long.
func appendSample(dst, plain []byte) []byte {
	stride := len(plain) / sampleParts
	for i := range sampleParts {
		start := i*stride + (stride-samplePart)/2
		dst = append(dst, plain[start:start+samplePart]...)
	}
	return dst
}

// leastEntropy is the entropy of the quarter that has the least: literals come in their order, and those of a part of
// the sample may be text where those of the others are noise.
func leastEntropy(data []byte) float64 {
	quarter := (len(data) + 3) / 4
	least := 8.0
	for part := range slices.Chunk(data, max(quarter, 1)) {
		least = min(least, entropy(part))
	}
	return least
}

// entropy is how many bits a byte takes at least if each is coded by how often it occurs.
func entropy(data []byte) float64 {
	var counts [256]int
	for _, b := range data {
		counts[b]++
	}
	bits, total := 0.0, float64(len(data))
	for _, count := range counts {
		if count > 0 {
			bits -= float64(count) * math.Log2(float64(count)/total)
		}
	}
	return bits / max(total, 1)
}

// newEncoder makes an encoder for use by one goroutine at a time.
func newEncoder(level zstd.EncoderLevel, more ...zstd.EOption) (*zstd.Encoder, error) {
	encoder, err := zstd.NewWriter(nil, append([]zstd.EOption{
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderLevel(level),
		zstd.WithEncoderCRC(false), // the MAC and the blob's hash say more than four bytes of CRC
		zstd.WithWindowSize(zstdWindow),
		zstd.WithLowerEncoderMem(true),
	}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	return encoder, nil
}
