package main

import (
	"testing"
	"time"
)

// Processes other than movers report no pulse, and count nothing.
func TestOnlyMoversCount(t *testing.T) {
	t.Parallel()
	r, a := &volumeReport{}, &app{now: time.Now}
	r.begin(t.Context(), a)()
	if r.observer(a).Watch != nil {
		t.Error("the bucket of a command that a person runs is watched")
	}
}
