package volume

import (
	"context"
	"time"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// RestoreRequest says what to restore, and where.
type RestoreRequest struct {
	Repository
	Observer
	// RecoveryPoint is the recovery point whose volume to restore, in the form that catalog.FindVolume takes. It counts only
	// without a Snapshot.
	RecoveryPoint string
	// Snapshot is the repository snapshot to restore, whatever recovery point it belongs to; the zero ID means none.
	Snapshot repository.ID
	// Claim is the claim that was saved.
	Claim string
	// Dir is the directory, block device or file to fill.
	Dir string
	// Replace makes Restore replace what is in the way. Blank says that the block device holds nothing but zeros.
	Replace, Blank bool
	// IntoEmpty makes Restore refuse a directory that holds anything except the unfinished work of this operation,
	// or of those that it resumes.
	IntoEmpty bool
	// IntoClaim is the claim of the volume that is mounted at the directory, as namespace/name.
	IntoClaim string
	// Resumes are the operations whose unfinished work in the directory may be removed.
	Resumes []string
	// Started is when the restore began; the mark in the directory records it.
	Started time.Time
}

// Restored is what a restore has done.
type Restored struct {
	// Snapshot is the repository snapshot that was restored.
	Snapshot repository.Snapshot
	// Result names the entries that could not be written; it is set even beside an error.
	Result archive.Result
}

// Restore writes a volume.
func Restore(ctx context.Context, r RestoreRequest) (Restored, error) {
	if err := CheckClaim(r.Claim); err != nil {
		return Restored{}, err
	}
	points, err := r.open(ctx, r.Observer, false)
	if err != nil {
		return Restored{}, err
	}
	// The lock keeps prune away, as far as we can get one. Without it, a prune could make the restore fail, but never make it wrong.
	lock, err := points.Repository().LockReading(ctx)
	if err != nil {
		return Restored{}, err
	}
	restored, err := r.fill(ctx, points)
	if left := lock.Release(ctx); left != nil { // this does not make the restore fail
		restored.Result.Warn(left)
	}
	return restored, err
}

// fill is the restore itself.
func (r *RestoreRequest) fill(ctx context.Context, points *catalog.Catalog) (restored Restored, err error) {
	restored.Snapshot, err = Find(ctx, points, r.RecoveryPoint, r.Claim, r.Snapshot)
	if err == nil && r.Operation != "" { // a person may restore anything
		err = points.CheckOwner(restored.Snapshot, r.Claim)
	}
	if err != nil {
		return restored, err
	}
	done := func() error { return nil }
	if r.IntoEmpty {
		if done, err = archive.TakeEmpty(ctx, r.taking(points.Repository(), restored.Snapshot.ID)); err != nil {
			return restored, err
		}
	}
	restored.Result, err = archive.Restore(ctx, points.Repository(), archive.Target{
		Snapshot: restored.Snapshot, Name: r.Claim, Dir: r.Dir, Replace: r.Replace, Blank: r.Blank,
	}, r.Progress)
	if err == nil {
		err = done()
	}
	return restored, err
}

// taking says who wants to have a directory for itself.
func (r *RestoreRequest) taking(repo *repository.Repository, snapshot repository.ID) archive.Taking {
	return archive.Taking{
		Dir: r.Dir, Name: r.Claim, Resumes: r.Resumes, Step: r.Step,
		Mark: archive.Mark{
			Operation: r.Operation, Claim: r.IntoClaim, Source: r.Of.Namespace + "/" + r.Of.StatefulSet + "/" + r.Claim,
			Repository: repo.ID(), RepositorySnapshot: snapshot.String(), Started: r.Started,
		},
		Open: func(context.Context) (*repository.Repository, error) { return repo, nil },
	}
}

// TakeBack removes what a restore with IntoEmpty has put into the directory: r.Snapshot. It opens the repository only if
// it has to compare what is there. So a restore that failed because the bucket is away can be taken back all the same.
func TakeBack(ctx context.Context, r RestoreRequest) error {
	if err := CheckClaim(r.Claim); err != nil {
		return err
	}
	return archive.TakeBack(ctx, archive.Taking{
		Dir: r.Dir, Name: r.Claim, Resumes: r.Resumes, Step: r.Step,
		Mark: archive.Mark{Operation: r.Operation, Claim: r.IntoClaim},
		Open: func(ctx context.Context) (*repository.Repository, error) {
			points, err := r.open(ctx, r.Observer, false)
			if err != nil {
				return nil, err
			}
			return points.Repository(), nil
		},
	}, r.Snapshot)
}
