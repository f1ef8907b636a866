package repository

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// zstdWindow is how far back a blob's bytes can refer. Most blobs are about as large; a larger window would cost
// memory in every worker and gain next to nothing.
const zstdWindow = 512 << 10

// newEncoder makes an encoder at zstd's default level, which is what restic uses: a repository gets no larger by being
// written by us, and the level below saves a fifth of the time for a twelfth more bytes. It is for use by one goroutine at
// a time.
func newEncoder() (*zstd.Encoder, error) {
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithEncoderCRC(false), // the MAC and the blob's hash say more than four bytes of CRC
		zstd.WithWindowSize(zstdWindow),
		zstd.WithLowerEncoderMem(true),
	)
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	return encoder, nil
}

// codec compresses and decompresses. It is safe for concurrent use.
type codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newCodec() (*codec, error) {
	encoder, err := newEncoder()
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

// decompress appends exactly length bytes to dst, or fails; it never makes more of them.
func (c *codec) decompress(dst, packed []byte, length int) ([]byte, error) {
	start := len(dst)
	if cap(dst)-start < length {
		dst = append(make([]byte, 0, start+length), dst...)
	}
	out, err := c.decoder.DecodeAll(packed, dst[:start:start+length])
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	if len(out)-start != length {
		return nil, fmt.Errorf("decompressed to %d bytes instead of %d", len(out)-start, length)
	}
	return out, nil
}

// decompressUpTo decompresses something whose plain length is not recorded; more than limit bytes are an error.
func (c *codec) decompressUpTo(packed []byte, limit int64) ([]byte, error) {
	decoder, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxBlobSize))
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	defer decoder.Close()
	plain, err := io.ReadAll(io.LimitReader(decoder, limit+1))
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	if int64(len(plain)) > limit {
		return nil, errors.New("decompresses to more than is allowed")
	}
	return plain, nil
}
