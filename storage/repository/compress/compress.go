package compress

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// zstdWindow is how far back a blob's bytes can refer. Most blobs are about as large; a larger window would cost memory
// in every worker and gain next to nothing.
const zstdWindow = 512 << 10

// MaxRatio is how far zstd can compress: four bytes can stand for 128 KiB. A blob that claims to be larger gets no
// memory.
const MaxRatio = 128 << 10 / 4

// Codec compresses and decompresses. It is safe for concurrent use.
type Codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// NewCodec makes a Codec.
func NewCodec() (*Codec, error) {
	encoder, err := newEncoder(zstd.SpeedFastest, zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return nil, err
	}
	// DecodeAll stops at the capacity of the slice that it is given: that bounds its output.
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(format.MaxBlobSize))
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	return &Codec{encoder: encoder, decoder: decoder}, nil
}

// Compress appends the compressed form of plain to dst.
func (c *Codec) Compress(dst, plain []byte) []byte { return c.encoder.EncodeAll(plain, dst) }

const (
	// decoderSlack is how many bytes of room behind the output let the decoder copy whole words.
	decoderSlack = 16
	// largeBuffer is the size, in bytes, up to which a reused buffer doubles when it grows.
	largeBuffer = 8 << 20
)

// Decompress appends exactly length bytes to dst, or fails. It never produces more than length bytes and the slack.
func (c *Codec) Decompress(dst, packed []byte, length int) ([]byte, error) {
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

// DecompressUpTo decompresses an object whose plain length is not recorded. More than limit bytes are an error, and so
// is a claim to need more than that for the window alone.
func (c *Codec) DecompressUpTo(packed []byte, limit int64) ([]byte, error) {
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

// likelySize is the size that a compressed object says it has, if a real object could have it.
func likelySize(packed []byte, limit int64) int64 {
	const usual = 8 // real objects are at most this many times as large as their compressed form
	var header zstd.Header
	if header.Decode(packed) != nil || !header.HasFCS {
		return 0
	}
	return int64(min(header.FrameContentSize, usual*uint64(len(packed)), uint64(limit)))
}
