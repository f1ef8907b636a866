package s3

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stsbackup/stsbackup/storage/storagetest/odds3"
)

// TestPruneOnCutListings: a server that ends every listing early, and says each time that it is whole, loses nothing by a prune.
func TestPruneOnCutListings(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 5} {
		s, bucket := newOdd(t)
		j := newJob(t, bucket, "odd")
		if err := j.init(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			j.write("new", noise(100_000))
			j.write(fmt.Sprintf("file-%d", i), bytes.Repeat([]byte{byte(i)}, 50_000))
			if err := steps(t.Context(), j.open, j.backup); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			s.Set(odds3.Odds{PageSize: size, SaysComplete: true})
			if err := steps(t.Context(), j.open, j.prune); err != nil {
				t.Errorf("prune with listings of %d: %v", size, err)
			}
			s.Set(odds3.Odds{})
			if err := steps(t.Context(), j.open, j.restore); err != nil {
				t.Errorf("restore after it: %v", err)
			}
		}
	}
}
