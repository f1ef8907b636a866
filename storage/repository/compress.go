package repository

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// zstdWindow is how far back a blob's bytes can refer. Most blobs are about as large; a larger window would cost
// memory in every worker and gain next to nothing.
const zstdWindow = 512 << 10

// Compression is how much work a Writer puts into making the content of files smaller. Trees and everything else are
// small and compress well: they are always compressed. Readers need not know: every blob says whether it is.
type Compression int

// The levels of Compression.
const (
	// CompressionDefault is zstd's default level, which is what restic uses: a repository gets no larger by being
	// written by us. Where most of the work would be for nothing, it does less.
	CompressionDefault Compression = iota
	// CompressionOff stores content as it is: for what is compressed or encrypted already.
	CompressionOff
	// CompressionFast is zstd's fastest level.
	CompressionFast
	// CompressionMax is zstd's best level, at several times the work.
	CompressionMax
)

// compressionNames are the levels as people write them, in the order of the constants.
func compressionNames() []string { return []string{"default", "off", "fast", "max"} }

// ParseCompression reads off, fast, default or max.
func ParseCompression(name string) (Compression, error) {
	level := slices.Index(compressionNames(), name)
	if level < 0 {
		return 0, fmt.Errorf("%q is none of off, fast, default and max", name)
	}
	return Compression(level), nil
}

// String is the name that ParseCompression reads.
func (c Compression) String() string {
	if names := compressionNames(); c >= 0 && int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("Compression(%d)", int(c))
}

// level is zstd's. Off has none: what is compressed all the same is compressed as by default.
func (c Compression) level() zstd.EncoderLevel {
	switch c {
	case CompressionFast:
		return zstd.SpeedFastest
	case CompressionMax:
		return zstd.SpeedBestCompression
	default:
		return zstd.SpeedDefault
	}
}

// codec compresses and decompresses. It is safe for concurrent use.
type codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newCodec() (*codec, error) {
	encoder, err := newEncoder(zstd.SpeedFastest, zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return nil, err
	}
	// DecodeAll stops at the capacity of the slice it is given: that is what bounds its output.
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxBlobSize))
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	return &codec{encoder: encoder, decoder: decoder}, nil
}

// compress appends the compressed form of plain to dst.
func (c *codec) compress(dst, plain []byte) []byte { return c.encoder.EncodeAll(plain, dst) }

const (
	// decoderSlack is how many bytes of room behind its output let the decoder copy by whole words.
	decoderSlack = 16
	// largeBuffer is how far a buffer that is used again grows to twice its size, in bytes.
	largeBuffer = 8 << 20
)

// decompress appends exactly length bytes to dst, or fails; it never makes more of them than fit behind as slack.
func (c *codec) decompress(dst, packed []byte, length int) ([]byte, error) {
	start, size := len(dst), len(dst)+length+decoderSlack
	if cap(dst) < size {
		dst = append(make([]byte, 0, max(size, min(2*cap(dst), largeBuffer))), dst...)
	}
	out, err := c.decoder.DecodeAll(packed, dst[:start:size])
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	if len(out)-start != length {
		return nil, fmt.Errorf("decompressed to %d bytes instead of %d", len(out)-start, length)
	}
	return dst[:len(out)], nil // with all of its room, for the next one
}

// decompressUpTo decompresses something whose plain length is not recorded; more than limit bytes are an error, and so
// is a claim to need as many for the window alone.
func (c *codec) decompressUpTo(packed []byte, limit int64) ([]byte, error) {
	decoder, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(limit)))
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	defer decoder.Close()
	plain := bytes.NewBuffer(make([]byte, 0, likelySize(packed, limit)+bytes.MinRead))
	if _, err := plain.ReadFrom(io.LimitReader(decoder, limit+1)); err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	if int64(plain.Len()) > limit {
		return nil, errors.New("decompresses to more than is allowed")
	}
	return plain.Bytes(), nil
}

// likelySize is the size that a compressed object says it has, if what is real could have it.
func likelySize(packed []byte, limit int64) int64 {
	const usual = 8 // times as large as compressed, and no more
	var header zstd.Header
	if header.Decode(packed) != nil || !header.HasFCS {
		return 0
	}
	return int64(min(header.FrameContentSize, usual*uint64(len(packed)), uint64(limit)))
}
