package compress

import (
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Level is how much work a Writer puts into making the content of files smaller. Trees and everything else are
// small and compress well: they are always compressed. Readers need not know: every blob says whether it is.
type Level int

// The levels.
const (
	// Default is zstd's default level, which is what restic uses: a repository gets no larger by being
	// written by us. Where most of the work would be for nothing, it does less.
	Default Level = iota
	// Off stores content as it is: for what is compressed or encrypted already.
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

// zstd gives zstd's own level. Off has none: what is compressed all the same is compressed as by default.
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
