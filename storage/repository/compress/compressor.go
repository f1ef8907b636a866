package compress

import (
	"fmt"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"
)

const (
	// smallBlob is the size, in bytes, up to which the tables of the thorough encoder cost more than they gain.
	smallBlob = 4 << 10
	// sampleParts stretches of samplePart bytes, spread over a blob, are the sample that tells what kind of data the
	// blob holds. Blobs that are not much larger than a sample are not sampled.
	sampleParts = 4
	samplePart  = 8 << 10
	sampledBlob = 4 * sampleParts * samplePart
	// noiseEntropy is the entropy, in bits per byte, from which on coding literals would save less than a tenth of
	// them. zstd itself starts at a sixteenth.
	noiseEntropy = 7.25
	// worthwhile is the fraction to which a sample must shrink for its blob to be compressed.
	worthwhile = 0.97
)

// Compressor compresses each blob in the way that pays off. Coding literals takes most of the time, and gains nothing
// if they are noise: database pages that hold images, hashes or encrypted data. There Compressor only looks for
// repeats, and not even that if a sample has none. Only one goroutine at a time may use it.
type Compressor struct {
	thorough *zstd.Encoder // the level's own encoder
	quick    *zstd.Encoder // for small blobs
	repeats  *zstd.Encoder // codes no literals; nil if everything goes to the thorough one
	sample   []byte
	probe    []byte // the compressed sample
}

// NewCompressor makes a Compressor; nil if the level is Off.
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

// Compress appends the compressed form of plain to dst, or nothing if plain should not be compressed. The compressed
// form may be longer than plain.
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

// leastEntropy is the lowest entropy of a quarter of the sample: literals come in order, and one part of the sample may
// be text where the others are noise.
func leastEntropy(data []byte) float64 {
	quarter := (len(data) + 3) / 4
	least := 8.0
	for part := range slices.Chunk(data, max(quarter, 1)) {
		least = min(least, entropy(part))
	}
	return least
}

// entropy is how many bits a byte takes at least if each is coded by its frequency.
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

// newEncoder makes an encoder that only one goroutine at a time may use.
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
