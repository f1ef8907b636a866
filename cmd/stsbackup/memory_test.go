package main

import "testing"

func TestLimitFor(t *testing.T) {
	for _, tt := range []struct {
		live uint64
		want int64
	}{
		{0, memoryLimit},
		{40 << 20, memoryLimit},
		{64 << 20, 76 << 20},
		{800 << 20, 858 << 20},
		{1 << 63, 1<<62 + 1<<58 + memoryRoom - 2},
	} {
		if got := limitFor(tt.live); got != tt.want {
			t.Errorf("%d bytes are live: limit %d, want %d", tt.live, got, tt.want)
		}
	}
}
