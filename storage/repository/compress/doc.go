// Package compress makes blobs and objects smaller with zstd, and large again. The library does the work; what is decided here is
// what to spend on which blob, and how much memory what somebody else has compressed may take.
//
// Compressor looks at a sample of a large blob first: where its bytes are noise, it codes only what repeats, or nothing at all.
// Codec decompresses: what has a known length to that length and no further, and everything else up to a limit. NewWriter and
// NewReader do the same for what is too large to be in memory.
package compress
