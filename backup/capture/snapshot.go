package capture

import (
	"context"
	"fmt"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// snapshot takes one VolumeSnapshot of each volume, in quick succession, and reads each through a temporary claim.
type snapshot struct{}

// Capture is the Way's name in the record.
func (snapshot) Capture() catalog.Capture { return catalog.CaptureSnapshot }

// Check checks whether a VolumeSnapshot of each volume can be taken, and read.
func (s snapshot) Check(facts *Facts, volumes []Volume, options Options) []Verdict {
	verdicts := make([]Verdict, len(volumes))
	for i := range volumes {
		verdicts[i] = s.check(facts, &volumes[i], options)
		if choice := verdicts[i].Choice; choice != nil {
			choice.Capture, choice.Placement = catalog.CaptureSnapshot, placeSnapshot(&volumes[i], facts)
		}
	}
	return verdicts
}

func (snapshot) check(facts *Facts, v *Volume, options Options) Verdict {
	driver, csi := cluster.VolumeDriver(v.Volume)
	if !csi {
		if options.Method == method.Snapshot {
			return Verdict{
				Reason: fmt.Sprintf("its volume comes from driver %s, which has no VolumeSnapshots", driver),
				Next:   "use --method live, or --method auto to decide for each volume",
			}
		}
		return Verdict{Reason: driver + " has no VolumeSnapshots"}
	}
	// Without the right to read StorageClasses, nobody knows that the class is unfit: try it.
	if !facts.StorageClassesHidden {
		if unfit := cluster.NoClaimFromSnapshot(facts.StorageClasses, v.Claim.Spec.StorageClassName, driver); unfit != "" {
			return Verdict{
				Reason: unfit, Next: fmt.Sprintf("create that StorageClass, with driver %s as its provisioner, or use --method live", driver),
			}
		}
	}
	if facts.ClassesHidden {
		return checkHidden(options)
	}
	class, err := cluster.ChooseVolumeSnapshotClass(facts.Classes, driver, options.SnapshotClass)
	if err != nil && options.Method == method.Auto && options.SnapshotClass != "" {
		// The class that the user asked for is only for volumes that it fits.
		class, err = cluster.ChooseVolumeSnapshotClass(facts.Classes, driver, "")
	}
	if err != nil {
		return Verdict{Reason: err.Error(), Next: fmt.Sprintf("create a VolumeSnapshotClass for driver %s, or use --method live", driver)}
	}
	return Verdict{Choice: &Choice{
		SnapshotClass: class.Name, Why: fmt.Sprintf("CSI driver %s has VolumeSnapshotClass %s", driver, class.Name),
	}}
}

// checkHidden is for users without the right to read VolumeSnapshotClasses: it trusts the class that the user names.
func checkHidden(options Options) Verdict {
	const why = "the right to list VolumeSnapshotClasses is missing"
	switch {
	case options.SnapshotClass != "":
		return Verdict{Choice: &Choice{SnapshotClass: options.SnapshotClass, Why: "asked for with --snapshot-class; " + why}}
	case options.Method == method.Snapshot:
		return Verdict{
			Reason: why + ", so no class can be chosen for its VolumeSnapshot",
			Next:   "name the class with --snapshot-class, or see docs/rbac.md for that right",
		}
	default:
		return Verdict{Reason: why}
	}
}

// Makes returns a VolumeSnapshot and a temporary claim.
func (snapshot) Makes(op cluster.Operation, v *Volume, choice *Choice) (Source, []cluster.Candidate) {
	source := Source{Claim: op.VolumeName(v.Ordinal, v.Template)} // the temporary claim
	return source, cluster.DryRunCut(op, v.Ordinal, v.Template, v.Claim, choice.SnapshotClass)
}

// Cut takes the cuts in quick succession.
func (s snapshot) Cut(ctx context.Context, c *Capturer, volumes []*Captured, tell Tell) error {
	for _, v := range volumes {
		tell(v, report.StageCapture)
		if v.Err = s.cut(ctx, c, v); v.Err == nil {
			tell(v, report.StageWait)
			continue
		}
		if ctx.Err() != nil {
			return v.ended(ctx)
		}
		tell(v, report.StageFailed)
		c.Release(ctx, v)
	}
	return nil
}

// cut makes one VolumeSnapshot and waits until the volume's state is fixed.
func (snapshot) cut(ctx context.Context, c *Capturer, v *Captured) error {
	made, err := c.Cluster.CreateVolumeSnapshot(ctx, c.Operation, v.Ordinal, v.Template, v.Claim.Name, v.SnapshotClass)
	if err != nil {
		return err
	}
	v.volumeSnapshot = made
	cut, err := c.Cluster.AwaitVolumeSnapshot(ctx, made.Namespace, made.Name, cluster.CutTaken, c.limits(v))
	if err != nil {
		return err
	}
	v.taken = c.Now()
	v.Cut = cut.Time.UTC()
	return nil
}

// limits bound the waits for a volume's VolumeSnapshot. All volumes are cut before the first is moved, and the storage copies
// them at the same time. So the time of each counts from its own cut, and those that never get ready together take one such time.
func (c *Capturer) limits(v *Captured) cluster.CutLimits {
	return cluster.CutLimits{Patience: c.Patience, Ready: c.Ready, Since: v.taken}
}

// Source is a temporary claim, filled from the VolumeSnapshot.
func (snapshot) Source(ctx context.Context, c *Capturer, v *Captured) (Source, error) {
	cut, err := c.Cluster.AwaitVolumeSnapshot(ctx, c.Operation.Namespace, v.volumeSnapshot.Name, cluster.CutReady, c.limits(v))
	if err != nil {
		return Source{}, err
	}
	temporary := cluster.TemporaryClaim(c.Operation, v.Ordinal, v.Template, v.Claim, v.volumeSnapshot.Name, cut.Size)
	claim, err := c.Cluster.CreateClaim(ctx, c.Operation, temporary, func() bool { return c.claims.Load() > 0 })
	if err != nil {
		return Source{}, err
	}
	v.temporary = claim
	c.claims.Add(1)
	return Source{Claim: claim.Name}, nil
}

// Release removes the temporary claim, and then the VolumeSnapshot.
func (snapshot) Release(ctx context.Context, c *Capturer, v *Captured) {
	if v.temporary != nil {
		clean, cancel := c.clean(ctx)
		if err := c.Cluster.DeleteTemporaryClaim(clean, v.temporary, c.Removing); err != nil {
			c.Warn(err.Error())
		}
		cancel()
		c.claims.Add(-1)
		v.temporary = nil
	}
	if v.volumeSnapshot == nil {
		return
	}
	clean, cancel := c.clean(ctx)
	defer cancel()
	if err := c.Cluster.DeleteVolumeSnapshot(clean, v.volumeSnapshot, c.Removing); err != nil {
		c.Warn(err.Error())
		return
	}
	v.volumeSnapshot = nil
}
