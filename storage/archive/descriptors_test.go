package archive

import "testing"

// TestLimitsFor divides the descriptors that may be open: every share is above zero, and the fetchers and the planner
// together leave half for directories within each other.
func TestLimitsFor(t *testing.T) {
	t.Parallel()
	for may, want := range map[uint64]openLimits{
		0: {dirs: 8, crowd: 8}, 64: {dirs: 8, crowd: 8}, 256: {dirs: 9, crowd: 96}, 1024: {dirs: 48, crowd: 480},
		4096: {dirs: 201, crowd: 1024}, 1 << 20: {dirs: 512, crowd: 1024}, 1<<64 - 1: {dirs: 512, crowd: 1024},
	} {
		got := limitsFor(may)
		if got != want {
			t.Errorf("of %d: %+v, want %+v", may, got, want)
		}
		if held := max(got.crowd, got.dirs*(fetchers+1)) + fetchers; may >= 256 && held > int(min(may, 1<<30))/2 {
			t.Errorf("of %d: %d are held", may, held)
		}
	}
}
