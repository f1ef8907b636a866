package compress

import (
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Level is how much work a Writer puts into compressing the content of files. Trees and everything else are small and
// compress well: they are always compressed. Readers need not know the level: every blob says whether it is compressed.
type Level int

// The levels.
const (
	// Default is zstd's default level, which restic uses too: a repository gets no larger because we write it. Where
	// most of the work would gain nothing, it does less.
	Default Level = iota
	// Off stores content as it is: for data that is already compressed or encrypted.
	Off
	// Fast is zstd's fastest level.
	Fast
	// Max is zstd's best level, at several times the work.
	Max
)

// names are the levels as people write them, in the order of the constants.
func names() []string { return []string{"default", "off", "fast", "max"} }

// Parse reads off, fast, default or max.
func Parse(name string) (Level, error) {
	level := slices.Index(names(), name)
	if level < 0 {
		return 0, fmt.Errorf("%q is none of off, fast, default and max", name)
	}
	return Level(level), nil
}

// String is the name that Parse reads.
func (l Level) String() string {
	if known := names(); l >= 0 && int(l) < len(known) {
		return known[l]
	}
	return fmt.Sprintf("Level(%d)", int(l))
}

// zstd returns zstd's own level. Off has none: data that is compressed all the same gets the default level.
func (l Level) zstd() zstd.EncoderLevel {
	switch l {
	case Fast:
		return zstd.SpeedFastest
	case Max:
		return zstd.SpeedBestCompression
	default:
		return zstd.SpeedDefault
	}
}
