//go:build !amd64 || purego

package sha256pair

// accelerated reports that the standard library does everything, so that nothing below is ever called.
func accelerated() bool { return false }

func blocks(*[8]uint32, *byte, int) {}

func blocksOfTwo(_, _ *[8]uint32, _, _ *byte, _ int) {}
