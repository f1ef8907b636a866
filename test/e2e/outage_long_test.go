//go:build e2e && e2elong

package e2e

import (
	"testing"
	"time"
)

// TestLongAPIServerAway is TestAPIServerAway for as long as an API server may be away. make test-acts runs it.
func TestLongAPIServerAway(t *testing.T) {
	for _, away := range []time.Duration{2 * time.Minute, 10 * time.Minute} {
		t.Run("restore/"+away.String(), func(t *testing.T) {
			t.Parallel()
			restoreThrough(t, away)
		})
		t.Run("backup/"+away.String(), func(t *testing.T) {
			t.Parallel()
			backUpThrough(t, away)
		})
	}
}
