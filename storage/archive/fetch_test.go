package archive

import (
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// TestNextPart splits runs into parts that are read at once: gaps are read too, and a blob is never cut.
func TestNextPart(t *testing.T) {
	t.Parallel()
	type blob struct{ offset, length uint32 }
	for name, test := range map[string]struct {
		at     int64
		blobs  []blob
		count  int
		length int
	}{
		"one blob":                 {100, []blob{{100, 50}}, 1, 50},
		"a gap before it":          {100, []blob{{130, 50}}, 1, 80},
		"all of a short run":       {0, []blob{{0, 10}, {10, 20}, {40, 5}}, 3, 45},
		"exactly full":             {0, []blob{{0, 10}, {10, partBytes - 10}, {partBytes, 1}}, 2, partBytes},
		"one byte too many":        {0, []blob{{0, 11}, {11, partBytes - 10}}, 1, 11},
		"larger than a part":       {7, []blob{{7, partBytes + 1}, {partBytes + 8, 1}}, 1, partBytes + 1},
		"the gap belongs to later": {5, []blob{{5, partBytes - 5}, {partBytes + 100, 10}}, 1, partBytes - 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var needs []need
			for _, b := range test.blobs {
				needs = append(needs, need{at: packfile.Location{Offset: b.offset, Length: b.length}})
			}
			if count, length := nextPart(test.at, needs); count != test.count || length != test.length {
				t.Errorf("%d blobs in %d bytes, want %d in %d", count, length, test.count, test.length)
			}
		})
	}
}
