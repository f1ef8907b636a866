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

// requestsWithin bounds the requests around a wait that has its own limit.
const requestsWithin = 30 * time.Second

// Capturer captures the volumes of one backup.
type Capturer struct {
	Cluster   *cluster.Client
	Operation cluster.Operation
	Now       func() time.Time
	// Patience is how long a driver may take to take a cut, or keep reporting errors, before the Capturer gives up
	// on the volume. Ready is how long the storage may take after that until the cut can be read.
	Patience, Ready time.Duration
	// Removing bounds the wait for what is released to go, and is told what the wait is for.
	Removing cluster.Removing
	// Warn is told what could not be released: the cleanup at the end of the backup tries again.
	Warn func(message string)

	// claims counts the existing temporary claims. While there are any, it is worth waiting for a quota to have room again.
	claims atomic.Int32
}

// Captured is a volume that is being captured.
type Captured struct {
	Volume
	Choice
	// Cut is when the volume's state was fixed, by the storage's clock; zero if its Way cuts nothing.
	Cut time.Time
	// Err says why the volume could not be cut.
	Err error

	// taken is when we saw that the volume was cut, by this process's clock.
	taken time.Time
	// volumeSnapshot and temporary are what the capture holds.
	volumeSnapshot *snapshotv1.VolumeSnapshot
	temporary      *corev1.PersistentVolumeClaim
}

// Cut fixes the state of the volumes: Way by Way, and for each Way in their order. If it fails for a volume, it
// sets the volume's Err, and goes on with the others. The error says that the operation has ended.
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

// Source returns what a mover reads the volume from, as soon as that is ready. The caller calls Release, even if Source fails.
func (c *Capturer) Source(ctx context.Context, v *Captured) (Source, error) {
	way, err := wayOf(v.Capture)
	if err != nil {
		return Source{}, err
	}
	return way.Source(ctx, c, v)
}

// Release frees what the capture of a volume holds, even after ctx has ended. It reports what it cannot free.
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
