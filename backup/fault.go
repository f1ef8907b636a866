package backup

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// faults finds out whether all other volumes would fail for the same reason as one that has failed: an image that cannot
// be pulled, a bucket that pods cannot reach. Such a fault ends the operation at the first volume, and is reported once.
type faults struct {
	mutex  sync.Mutex
	trying chan struct{} // set while a probe tests whether any mover can work; closed when the probe has ended
	left   int           // how many volumes have not been begun
	saved  bool          // one volume was saved, so others can be
	probed bool          // a probe has run
	common error         // why all others would fail
}

// settle takes the mutex when no probe runs. A caller with good news does not call it, because a probe may take minutes.
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

// begin counts a volume that is begun, or says why it need not be begun.
func (f *faults) begin() error {
	f.settle()
	defer f.mutex.Unlock()
	if f.common == nil {
		f.left--
	}
	return f.common
}

// ok records that a volume was saved.
func (f *faults) ok() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.saved = true
}

// judge says, after one volume has failed with err, why all others would fail, too; nil if the failure is that
// volume's own. It calls probe at most once, to test whether any mover can do its work.
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
		if f.trying = nil; !f.saved { // meanwhile one could be saved
			f.common = common
		}
	}
	return f.common
}

// whole is the error of an operation that could save nothing because all volumes would fail for the same reason; nil if there is none.
func (f *faults) whole(object string) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.common == nil || f.saved {
		return nil
	}
	return fmt.Errorf("back up %s: %w; every other volume would fail in the same way, so none was tried", object, f.common)
}

// failed records that a volume could not be saved.
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
