package capture

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// requestsWithin is for the requests around a wait that is bounded by itself.
const requestsWithin = 30 * time.Second

// Capturer captures the volumes of one backup.
type Capturer struct {
	Cluster   *cluster.Client
	Operation cluster.Operation
	Now       func() time.Time
	// Patience is how long a driver may take to take a cut, or go on reporting errors, before the volume is given up; Ready, how long
	// the storage may take after that until the cut can be read.
	Patience, Ready time.Duration
	// Removing bounds the wait for what is released to go, and is told what it waits for.
	Removing cluster.Removing
	// Warn is told what could not be released: it is tried again at the end of the backup.
	Warn func(message string)

	// claims counts the temporary claims that there are. While there are any, it is worth waiting for a quota to have room again.
	claims atomic.Int32
}

// Captured is a volume under way.
type Captured struct {
	Volume
	Choice
	// Cut is when the volume's state was fixed, by the storage's clock; zero if its way cuts nothing.
	Cut time.Time
	// Err says why the volume could not be cut.
	Err error

	// taken is when it was seen to be cut, by this process's clock.
	taken time.Time
	// volumeSnapshot and temporary are what the capture holds.
	volumeSnapshot *snapshotv1.VolumeSnapshot
	temporary      *corev1.PersistentVolumeClaim
}

// Cut fixes the state of the volumes: way by way, and in each in their order. A volume of which it fails has its Err set, and the others
// go on. The error says that the operation has ended.
func (c *Capturer) Cut(ctx context.Context, volumes []*Captured, tell Tell) error {
	for _, way := range Ways() {
		var of []*Captured
		for _, v := range volumes {
			if v.Capture == way.Capture() {
				of = append(of, v)
			}
		}
		if len(of) == 0 {
			continue
		}
		if err := way.Cut(ctx, c, of, tell); err != nil {
			return err
		}
	}
	return nil
}

// Source gives what a mover reads the volume from, as soon as that is ready. Release is called whatever becomes of it.
func (c *Capturer) Source(ctx context.Context, v *Captured) (Source, error) {
	way, err := wayOf(v.Capture)
	if err != nil {
		return Source{}, err
	}
	return way.Source(ctx, c, v)
}

// Release gives back what the capture of a volume holds, also after ctx has ended. What cannot be given back is told.
func (c *Capturer) Release(ctx context.Context, v *Captured) {
	way, err := wayOf(v.Capture)
	if err != nil {
		return // it has captured nothing
	}
	way.Release(ctx, c, v)
}

// clean is a context for one removal, which also works after ctx has ended.
func (c *Capturer) clean(ctx context.Context) (context.Context, context.CancelFunc) {
	return cluster.WithLimit(context.WithoutCancel(ctx), c.Removing.Limit+requestsWithin)
}

// ended is the error of an operation that ended while a volume was captured.
func (v *Captured) ended(ctx context.Context) error {
	return fmt.Errorf("capture claim %s/%s: %w", v.Claim.Namespace, v.Claim.Name, context.Cause(ctx))
}
