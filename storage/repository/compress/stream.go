package compress

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// streamWindow bounds how far back a decompressed stream can refer, which takes memory.
const streamWindow = 32 << 20

// NewWriter compresses everything written to it, and writes the result to another writer; Close ends the stream.
func NewWriter(to io.Writer, level Level) (io.WriteCloser, error) {
	encoder, err := newEncoder(level.zstd(), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return nil, err
	}
	encoder.Reset(to)
	return encoder, nil
}

// NewReader decompresses what it reads from another reader.
func NewReader(from io.Reader) (io.Reader, error) {
	decoder, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(streamWindow))
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	return decoder, nil
}
