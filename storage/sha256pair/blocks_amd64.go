//go:build !purego

package sha256pair

import "github.com/klauspost/cpuid/v2"

// accelerated reports whether the processor has all the instructions that blocks and blocksOfTwo use.
func accelerated() bool { return cpuid.CPU.Supports(cpuid.SHA, cpuid.SSSE3, cpuid.SSE4) }

// blocks hashes n blocks into a state. p is their first byte.
//
//go:noescape
func blocks(state *[8]uint32, p *byte, n int)

// blocksOfTwo hashes n blocks of each of two messages into their states. p and q are the first bytes.
//
//go:noescape
func blocksOfTwo(state, other *[8]uint32, p, q *byte, n int)
