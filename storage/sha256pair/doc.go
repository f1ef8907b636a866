// Package sha256pair hashes two messages at once with SHA-256 (FIPS 180-4).
//
// A processor with instructions for SHA-256 spends most of its time on one message waiting: each round needs the result
// of the one before it. Two independent messages fill each other's pauses, so both together take about two thirds of
// the time that one after the other takes. A backup hashes every byte twice, as part of a blob for the blob's name and
// as part of a pack for the pack's, and that is the largest share of its work. The same is true of a restore, which
// uses the next blob as second message.
//
//  1. A Digest is the state of one message so far: the eight words of state, and bytes that are no whole
//     block of 64 yet.
//  2. Both completes the blocks that both messages have begun, hashes as many blocks as both have left side by side, and
//     then the rest of the longer one alone.
//  3. Sum appends the padding and the length.
//
// Only amd64 processors with the instructions SHA, SSSE3 and SSE4.1 get this. On others a Digest is one of the standard
// library, and the two messages are hashed one after the other; the build tag purego forces that everywhere.
package sha256pair
