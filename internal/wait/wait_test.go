package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/internal/wait"
)

// TestFor: a pause takes its time. If its context ends, For returns the context's cause at that moment.
func TestFor(t *testing.T) {
	because := errors.New("because")
	for name, tt := range map[string]struct {
		ends  time.Duration // of the context; zero is never
		takes time.Duration
		want  error
	}{
		"to its end":          {takes: time.Minute},
		"the context is over": {ends: time.Second, takes: time.Second, want: because},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tt.ends > 0 {
					time.AfterFunc(tt.ends, func() { cancel(because) })
				}
				begun := time.Now()
				if err := wait.For(ctx, time.Minute); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				if took := time.Since(begun); took != tt.takes {
					t.Errorf("it took %v, want %v", took, tt.takes)
				}
			})
		})
	}
}
