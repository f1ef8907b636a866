// Package compress makes blobs and objects smaller with zstd, and large again. The library does the work; this package
// decides how much work to spend on which blob, and how much memory data that somebody else compressed may take.
//
// Compressor looks at a sample of a large blob first: if its bytes are noise, it codes only repeats, or nothing at all.
// Codec decompresses data of a known length to exactly that length, and everything else up to a limit. NewWriter and
// NewReader do the same for data that is too large for memory.
package compress
