package ui

import (
	"math"
	"testing"
	"time"
)

func TestHumanBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 64 << 20: "64 MiB", 1<<20 - 1: "1 MiB", 5 << 40: "5 TiB", 1<<63 - 1: "8 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestHumanDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1200 * time.Millisecond: "1.2s", 9960 * time.Millisecond: "10s", 14 * time.Second: "14s", 59900 * time.Millisecond: "1m00s",
		185 * time.Second: "3m05s", time.Hour - time.Millisecond: "1h00m", 127 * time.Minute: "2h07m", -2 * time.Second: "-2s",
		math.MinInt64: "-2562047h47m", math.MaxInt64: "2562047h47m",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		`it says "naïve – 日本"`:            `it says "naïve – 日本"`,
		"a\x1b[2J\rsaved\nclaim":          `a\x1b[2J\rsaved\nclaim`,
		"right \u202e left, \u0085, \x00": `right \u202e left, \u0085, \x00`,
	} {
		if got := Plain(text); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
