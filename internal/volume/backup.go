package volume

import (
	"context"
	"strconv"
	"time"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/compress"
)

// BackupRequest says which volume to save, and how.
type BackupRequest struct {
	Repository
	Observer
	// Dir is the directory or block device to save.
	Dir string
	// Claim is the claim to which the volume belongs.
	Claim string
	// Ordinal is the claim's ordinal; a negative one means none.
	Ordinal int
	// RecoveryPoint is the id of the recovery point of which this volume is a part; empty if it stands by itself.
	RecoveryPoint catalog.RecoveryPointID
	// ForceRead makes Backup read files that seem unchanged since the last backup.
	ForceRead   bool
	Compression compress.Level
	// RetryLock is how long to wait for somebody else's lock on the repository.
	RetryLock time.Duration
	// Program is the name of the program that the repository snapshot records.
	Program string
}

// tags are the tags of the repository snapshot.
func (r *BackupRequest) tags() ([]string, error) {
	tags := []string{catalog.TagStsbackup, catalog.TagClaim + "=" + r.Claim}
	if r.RecoveryPoint != "" {
		if err := catalog.CheckID(r.RecoveryPoint); err != nil {
			return nil, invalidf("--recovery-point: %w", err)
		}
		tags = append(tags, catalog.TagRecoveryPoint+"="+string(r.RecoveryPoint))
	}
	if r.Ordinal >= 0 {
		tags = append(tags, catalog.TagOrdinal+"="+strconv.Itoa(r.Ordinal))
	}
	return tags, nil
}

// Backup saves a volume. The result names entries that could not be read completely: there is a repository snapshot all the same.
func Backup(ctx context.Context, r BackupRequest) (archive.Result, error) {
	tags, err := r.tags()
	if err != nil {
		return archive.Result{}, err
	}
	if err := CheckClaim(r.Claim); err != nil {
		return archive.Result{}, err
	}
	points, err := r.open(ctx, r.Observer, true)
	if err != nil {
		return archive.Result{}, err
	}
	repo := points.Repository()
	repo.SetCompression(r.Compression)
	repo.SetLockWait(repository.LockWait{Limit: r.RetryLock, Blocked: func(_ context.Context, locked error) bool {
		if r.RetryLock > 0 && r.Waiting != nil {
			r.Waiting(points.WaitingText(r.RetryLock, locked))
		}
		return false
	}})
	return archive.Backup(ctx, repo, archive.Source{
		Dir: r.Dir, Name: r.Claim, Host: points.Host(), Tags: tags, Program: r.Program, ForceRead: r.ForceRead,
	}, r.Progress)
}
