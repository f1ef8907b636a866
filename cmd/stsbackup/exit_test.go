package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// A refusal has exit code 5. If it says that something the command asks for does not exist, the code is 4, as
// everywhere.
func TestExitCodeOfRefusals(t *testing.T) {
	refusal := &cluster.Refusal{Object: "StatefulSet demo/web", Reason: "it is managed", Next: "suspend that"}
	nothing := &cluster.Refusal{Object: "StatefulSet demo/web", Reason: "nothing is set aside", Next: "see --list", Err: cluster.ErrNotFound}
	busy := &cluster.Refusal{Object: "StatefulSet demo/web", Reason: "held", Next: "wait", Err: cluster.ErrBusy}
	for _, tt := range []struct {
		err  error
		want int
	}{
		{refusal, exitRefused}, {busy, exitRefused}, {fmt.Errorf("back up: %w", refusal), exitRefused},
		{nothing, exitNotFound}, {errors.Join(nothing), exitNotFound}, {errors.Join(refusal, nothing), exitRefused},
	} {
		if got := exitCode(t.Context(), tt.err); got != tt.want {
			t.Errorf("%v: exit code %d, want %d", tt.err, got, tt.want)
		}
	}
}
