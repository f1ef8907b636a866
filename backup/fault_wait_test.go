package backup

import (
	"errors"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// TestFaultsBesideGoodNews: a volume that is saved while a probe tests whether any can be saved does not wait for the probe, and counts.
func TestFaultsBesideGoodNews(t *testing.T) {
	f := &faults{left: 2}
	begun := make(chan error, 1)
	common := f.judge(&cluster.MoverError{ExitCode: 1}, func() error {
		go func() { begun <- f.begin() }()
		f.ok()
		return errors.New("no mover can")
	})
	if common != nil {
		t.Errorf("all others are given up, of which one was saved: %v", common)
	}
	if err := <-begun; err != nil {
		t.Errorf("a volume was not begun: %v", err)
	}
}
