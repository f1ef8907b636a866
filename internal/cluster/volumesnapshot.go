package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// defaultClassAnnotation marks a driver's default VolumeSnapshotClass.
const defaultClassAnnotation = "snapshot.storage.kubernetes.io/is-default-class"

// ErrNoVolumeSnapshotClass says that the cluster has no suitable VolumeSnapshotClass.
var ErrNoVolumeSnapshotClass = errors.New("no VolumeSnapshotClass")

// CutPhase says how far a VolumeSnapshot has come.
type CutPhase int

// The phases of a VolumeSnapshot.
const (
	CutPending CutPhase = iota // nothing has happened yet
	CutFailing                 // the driver reports an error, and keeps trying
	CutTaken                   // the volume's state is fixed; the driver may still be copying the data
	CutReady                   // claims can be filled from it
)

// Cut is the state of a VolumeSnapshot.
type Cut struct {
	Phase CutPhase
	// Time is when the state of the volume was fixed; set from CutTaken on.
	Time time.Time
	// Size is the smallest size, in bytes, of a claim that is filled from the VolumeSnapshot; zero while unknown.
	Size int64
	// Message is the driver's error; it may also be set at CutTaken.
	Message string
}

// ClassifyVolumeSnapshot reads the state of a VolumeSnapshot.
func ClassifyVolumeSnapshot(vs *snapshotv1.VolumeSnapshot) Cut {
	status := vs.Status
	if status == nil {
		return Cut{}
	}
	cut := Cut{}
	if status.Error != nil && status.Error.Message != nil {
		cut.Message = *status.Error.Message
	}
	if status.RestoreSize != nil {
		cut.Size = status.RestoreSize.Value()
	}
	if status.CreationTime != nil {
		cut.Phase, cut.Time = CutTaken, status.CreationTime.Time
	}
	switch {
	case status.ReadyToUse != nil && *status.ReadyToUse:
		// An error of an earlier try may still be there. A driver need not say when it took the cut: then the time is
		// no later than now, and no earlier than the VolumeSnapshot.
		cut.Phase, cut.Message = CutReady, ""
		if cut.Time.IsZero() {
			cut.Time = vs.CreationTimestamp.Time
		}
	case status.Error != nil && cut.Phase == CutPending:
		cut.Phase = CutFailing
		cut.Message = cmp.Or(cut.Message, "the driver gave no message")
	}
	return cut
}

// ChooseVolumeSnapshotClass picks the class for a driver's volumes: the class called want; if want is empty,
// the driver's default; else the first by name, with classes that delete their data before classes that retain
// it. The error wraps ErrNoVolumeSnapshotClass and says which classes there are.
func ChooseVolumeSnapshotClass(classes []snapshotv1.VolumeSnapshotClass, driver, want string) (*snapshotv1.VolumeSnapshotClass, error) {
	var candidates []*snapshotv1.VolumeSnapshotClass
	for i := range classes {
		class := &classes[i]
		if want != "" && class.Name == want {
			if class.Driver != driver {
				return nil, fmt.Errorf("%w for CSI driver %s: class %s belongs to driver %s", ErrNoVolumeSnapshotClass, driver, want, class.Driver)
			}
			return class, nil
		}
		if class.Driver == driver {
			candidates = append(candidates, class)
		}
	}
	if want != "" {
		return nil, fmt.Errorf("%w called %s", ErrNoVolumeSnapshotClass, want)
	}
	if len(candidates) == 0 {
		return nil, fmt.Errorf("%w for CSI driver %s", ErrNoVolumeSnapshotClass, driver)
	}
	rank := func(class *snapshotv1.VolumeSnapshotClass) int {
		switch {
		case class.Annotations[defaultClassAnnotation] == "true":
			return 0
		case class.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete:
			return 1
		default:
			return 2
		}
	}
	return slices.MinFunc(candidates, func(a, b *snapshotv1.VolumeSnapshotClass) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	}), nil
}

// VolumeSnapshotClasses lists the cluster's classes; none if the cluster does not have the VolumeSnapshot API.
func (c *Client) VolumeSnapshotClasses(ctx context.Context) ([]snapshotv1.VolumeSnapshotClass, error) {
	list, err := c.Snapshots.SnapshotV1().VolumeSnapshotClasses().List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list VolumeSnapshotClasses: %w", err)
	}
	return list.Items, nil
}

// CreateVolumeSnapshot creates a VolumeSnapshot of the claim, with the name and labels of the operation.
// ordinal and template are the claim's.
func (c *Client) CreateVolumeSnapshot(
	ctx context.Context,
	op Operation,
	ordinal int32,
	template, claim, class string,
) (*snapshotv1.VolumeSnapshot, error) {
	vs := volumeSnapshotOf(op, ordinal, template, claim, class)
	snapshots := c.Snapshots.SnapshotV1().VolumeSnapshots(op.Namespace)
	var created *snapshotv1.VolumeSnapshot
	err := c.whenRoom(ctx, nil, func() (err error) {
		created, err = snapshots.Create(ctx, vs, metav1.CreateOptions{})
		return err
	})
	if apierrors.IsAlreadyExists(err) {
		if other, readErr := snapshots.Get(ctx, vs.Name, metav1.GetOptions{}); readErr == nil {
			return nil, op.taken("VolumeSnapshot", other, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create VolumeSnapshot %s/%s of claim %s: %w", op.Namespace, vs.Name, claim, err)
	}
	return created, nil
}

// volumeSnapshotOf builds the VolumeSnapshot of a claim.
func volumeSnapshotOf(op Operation, ordinal int32, template, claim, class string) *snapshotv1.VolumeSnapshot {
	return &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   op.Namespace,
			Name:        op.VolumeName(ordinal, template),
			Labels:      op.VolumeLabels(ordinal, claim),
			Annotations: op.Annotations(claim),
		},
		Spec: snapshotv1.VolumeSnapshotSpec{
			VolumeSnapshotClassName: &class,
			Source:                  snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &claim},
		},
	}
}

// CutLimits bound the wait for a VolumeSnapshot.
type CutLimits struct {
	// Patience is how long a driver may report errors, or not take the cut.
	Patience time.Duration
	// Ready is how long the driver may copy data after it took the cut, counted from Since. A zero Since means the
	// beginning of the wait.
	Ready time.Duration
	Since time.Time
}

// AwaitVolumeSnapshot waits until the VolumeSnapshot has reached phase (CutTaken or CutReady), and says what it waits for.
// It gives up on a driver that has reported errors for longer than limits.Patience, with the driver's message as the error,
// and on a driver that has not taken a cut for that long. Copying data after the cut may take longer: limits.Ready.
func (c *Client) AwaitVolumeSnapshot(ctx context.Context, namespace, name string, phase CutPhase, limits CutLimits) (Cut, error) {
	wait := &cutWait{name: namespace + "/" + name, limits: limits, begun: c.now(), well: c.now(), away: timeAway(ctx)}
	limit := limits.Patience
	if phase == CutReady {
		if wait.limits.Since.IsZero() {
			wait.limits.Since = wait.begun
		}
		limit = max(0, limits.Ready-wait.begun.Sub(wait.limits.Since)).Round(time.Second)
	}
	var cut Cut
	sayer := c.sayer(limit)
	err := await(
		ctx,
		c.relist(),
		c.volumeSnapshots(namespace, metav1.ListOptions{}).named(name),
		func(found []*snapshotv1.VolumeSnapshot) (bool, error) {
			if len(found) == 0 || found[0].DeletionTimestamp != nil {
				return false, fmt.Errorf("VolumeSnapshot %s was deleted by somebody else; run the command again", wait.name)
			}
			cut = ClassifyVolumeSnapshot(found[0])
			if cut.Phase >= phase {
				return true, nil
			}
			// While the API server was away, nobody could make progress.
			if err := wait.over(cut, c.now().Add(wait.away-timeAway(ctx))); err != nil {
				return false, err
			}
			sayer.say(func() string { return fmt.Sprintf("VolumeSnapshot %s: %s", wait.name, cut.pending()) })
			return false, nil
		},
	)
	return cut, err
}

// cutWait is the wait for one VolumeSnapshot.
type cutWait struct {
	name   string
	limits CutLimits
	begun  time.Time
	well   time.Time     // when the driver last reported no error
	away   time.Duration // timeAway at the beginning
}

// over says why to stop waiting for a VolumeSnapshot that has not reached the phase; nil means go on.
func (w *cutWait) over(cut Cut, now time.Time) error {
	if cut.Message == "" {
		w.well = now
	}
	switch {
	case now.Sub(w.well) >= w.limits.Patience:
		return fmt.Errorf("VolumeSnapshot %s: the driver keeps failing: %s; mend that, or use --method live", w.name, cut.Message)
	case cut.Phase == CutPending && now.Sub(w.begun) >= w.limits.Patience:
		return fmt.Errorf("VolumeSnapshot %s: nothing has happened for %s; is the snapshot controller running, "+
			"and the driver's csi-snapshotter?", w.name, w.limits.Patience)
	case cut.Phase == CutTaken && !w.limits.Since.IsZero() && now.Sub(w.limits.Since) >= w.limits.Ready:
		return fmt.Errorf(
			"VolumeSnapshot %s: it was taken at %s and is not ready after %s; read the logs of the storage and of the driver's "+
				"csi-snapshotter, raise --snapshot-ready-timeout if the storage just takes longer to copy it, or use --method live",
			w.name,
			cut.Time.UTC().Format(time.RFC3339),
			now.Sub(w.limits.Since).Round(time.Second),
		)
	default:
		return nil
	}
}

// pending says what is still missing in a VolumeSnapshot.
func (c Cut) pending() string {
	switch {
	case c.Message != "":
		return "the driver reports an error and goes on trying: " + c.Message
	case c.Phase == CutTaken:
		return fmt.Sprintf(
			"it was taken at %s and is not ready yet: the storage still copies it, or the driver does not say that it is done",
			c.Time.UTC().Format(time.RFC3339),
		)
	default:
		return "the driver has not taken it yet"
	}
}

func (c *Client) volumeSnapshots(namespace string, options metav1.ListOptions) view[*snapshotv1.VolumeSnapshot] {
	snapshots := c.Snapshots.SnapshotV1().VolumeSnapshots(namespace)
	return viewOf[*snapshotv1.VolumeSnapshot]("VolumeSnapshots in "+namespace, options, snapshots.List, snapshots.Watch)
}

// VolumeDriver is the CSI driver behind a volume; for a volume that is not CSI, the name of its volume plugin.
func VolumeDriver(volume *corev1.PersistentVolume) (driver string, csi bool) {
	source := volume.Spec.PersistentVolumeSource
	switch {
	case source.CSI != nil:
		return source.CSI.Driver, true
	case source.HostPath != nil:
		return "kubernetes.io/host-path", false
	case source.NFS != nil:
		return "kubernetes.io/nfs", false
	case source.Local != nil:
		return "kubernetes.io/local-volume", false
	case source.ISCSI != nil:
		return "kubernetes.io/iscsi", false
	case source.FC != nil:
		return "kubernetes.io/fc", false
	default:
		return "in-tree volume plugin", false
	}
}
