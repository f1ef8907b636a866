package backup

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// faults finds out whether what one volume has failed of would be the same for all others: an image that cannot be pulled, a
// bucket that pods cannot reach. Such a fault ends the operation at the first volume, and is said once.
type faults struct {
	mutex  sync.Mutex
	trying chan struct{} // while it is tried out whether any mover can work; closed when that has ended
	left   int           // how many volumes have not been begun
	saved  bool          // a volume could be saved, so that others can
	probed bool          // it has been tried out
	common error         // what all others would fail of
}

// settle takes the mutex when nothing is being tried out. Whoever only has good news does not wait for that: it may take minutes.
func (f *faults) settle() {
	for {
		f.mutex.Lock()
		trying := f.trying
		if trying == nil {
			return
		}
		f.mutex.Unlock()
		<-trying
	}
}

// begin counts a volume that is begun, or says why it need not be.
func (f *faults) begin() error {
	f.settle()
	defer f.mutex.Unlock()
	if f.common == nil {
		f.left--
	}
	return f.common
}

// ok takes in that a volume could be saved.
func (f *faults) ok() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.saved = true
}

// judge says what all other volumes would fail of too, after one has failed with err; nil if that is its own affair. probe tries
// out, at most once, whether any mover can do its work.
func (f *faults) judge(err error, probe func() error) error {
	f.settle()
	defer f.mutex.Unlock()
	if f.common != nil || f.saved || f.left <= 0 {
		return f.common
	}
	var failed *cluster.MoverError
	switch {
	case !errors.As(err, &failed):
	case failed.OfEveryMover():
		f.common = err
	case failed.ExitCode > 0 && !f.probed:
		f.probed, f.trying = true, make(chan struct{})
		f.mutex.Unlock()
		common := probe()
		f.mutex.Lock()
		close(f.trying)
		if f.trying = nil; !f.saved { // meanwhile one could be
			f.common = common
		}
	}
	return f.common
}

// whole is the error of an operation that could save nothing, because of what all volumes would fail of; nil if there is none.
func (f *faults) whole(object string) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.common == nil || f.saved {
		return nil
	}
	return fmt.Errorf("back up %s: %w; every other volume would fail in the same way, so none was tried", object, f.common)
}

// failed takes in that a volume could not be saved.
func (r *run) failed(ctx context.Context, v *volumeRun, err error) {
	common := r.faults.judge(err, func() error { return r.Saver.Probe(ctx, r.target(), &v.Volume) })
	if common == nil {
		r.fail(v, err)
		return
	}
	v.saved.Error = common.Error()
}

// notTried marks a volume that was not begun.
func (v *volumeRun) notTried(common error) {
	v.saved.Error = "not tried, because it would fail like another volume: " + common.Error()
}
