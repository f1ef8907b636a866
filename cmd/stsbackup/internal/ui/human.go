package ui

import (
	"fmt"
	"strings"
	"time"
)

// Bytes writes a size for people: 512 B, 1.5 KiB, 64 MiB.
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1023.95 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	text := strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0")
	return fmt.Sprintf("%s %ciB", text, units[unit])
}

// Duration writes a duration with the precision that matters: 0s, 1.2s, 14s, 3m05s, 2h07m.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(max(-d, -(d+1))) // the smallest value has no opposite
	case d < 9950*time.Millisecond:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + "s"
	case d < time.Minute-500*time.Millisecond:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour-500*time.Millisecond:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	default:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
}

// Time writes a time in UTC, to the second.
func Time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// Files writes a number of files: 1 file, 2 files.
func Files(n int64) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

// Volumes writes a number of volumes: 1 volume, 2 volumes.
func Volumes(n int) string {
	if n == 1 {
		return "1 volume"
	}
	return fmt.Sprintf("%d volumes", n)
}

// Age writes how long ago a time was: 40s, 25m00s, 31h00m, 12 days.
func Age(at, now time.Time) string {
	const day = 24 * time.Hour
	age := now.Sub(at)
	switch {
	case at.IsZero():
		return "unknown"
	case age < 2*day:
		return Duration(age)
	default:
		return fmt.Sprintf("%d days", age/day)
	}
}

// OrDash is the text, or a dash if it is empty.
func OrDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
