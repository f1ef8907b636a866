package main

import "testing"

func TestLimitFor(t *testing.T) {
	for _, tt := range []struct {
		live uint64
		want int64
	}{
		{0, memoryLimit},
		{40 << 20, memoryLimit},
		{48 << 20, 66 << 20},
		{800 << 20, 912 << 20},
		{1 << 63, 1<<62 + 1<<59 + memoryRoom - 2},
	} {
		if got := limitFor(tt.live); got != tt.want {
			t.Errorf("%d bytes are live: limit %d, want %d", tt.live, got, tt.want)
		}
	}
}
