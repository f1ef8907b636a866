package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// Snapshot is a repository snapshot: one tree at one time.
type Snapshot struct {
	Time     time.Time `json:"time"`
	Parent   *ID       `json:"parent,omitempty"`
	Tree     *ID       `json:"tree"`
	Paths    []string  `json:"paths"`
	Hostname string    `json:"hostname,omitempty"`
	Username string    `json:"username,omitempty"`
	UID      uint32    `json:"uid,omitempty"`
	GID      uint32    `json:"gid,omitempty"`
	// Excludes is what restic was told to leave out. This package writes it, but does not read it.
	Excludes       []string `json:"excludes,omitempty"`
	Tags           []string `json:"tags,omitempty"`
	Original       *ID      `json:"original,omitempty"`
	ProgramVersion string   `json:"program_version,omitempty"`
	Summary        *Summary `json:"summary,omitempty"`

	// ID is the repository snapshot's own id. It is the hash of the stored JSON, and so not part of it.
	ID ID `json:"-"`
}

// Summary is what a repository snapshot says about how it was made. Sizes are in bytes.
type Summary struct {
	BackupStart         time.Time `json:"backup_start"`
	BackupEnd           time.Time `json:"backup_end"`
	FilesNew            int64     `json:"files_new"`
	FilesChanged        int64     `json:"files_changed"`
	FilesUnmodified     int64     `json:"files_unmodified"`
	DirsNew             int64     `json:"dirs_new"`
	DirsChanged         int64     `json:"dirs_changed"`
	DirsUnmodified      int64     `json:"dirs_unmodified"`
	DataBlobs           int64     `json:"data_blobs"`
	TreeBlobs           int64     `json:"tree_blobs"`
	DataAdded           int64     `json:"data_added"`
	DataAddedPacked     int64     `json:"data_added_packed"`
	TotalFilesProcessed int64     `json:"total_files_processed"`
	TotalBytesProcessed int64     `json:"total_bytes_processed"`
}

// Tag returns the value of the tag "key=value"; false if there is none.
func (s Snapshot) Tag(key string) (string, bool) {
	for _, tag := range s.Tags {
		if value, ok := strings.CutPrefix(tag, key+"="); ok {
			return value, true
		}
	}
	return "", false
}

// HasTag reports whether the repository snapshot has exactly this tag.
func (s Snapshot) HasTag(tag string) bool { return slices.Contains(s.Tags, tag) }

// SaveSnapshot writes a repository snapshot and returns its id and the size of its object in bytes. Everything that it
// names must have been flushed before. ctx is the lock's context: it ends before others may take the holder for dead,
// however long the bucket does not answer.
func (r *Repository) SaveSnapshot(ctx context.Context, snapshot Snapshot) (ID, int64, error) {
	id, size, err := r.saveObject(ctx, kindSnapshot, snapshot)
	return id, int64(size), err
}

// LoadSnapshot reads one repository snapshot. It returns ErrNoSnapshot if there is none with this id.
func (r *Repository) LoadSnapshot(ctx context.Context, id ID) (Snapshot, error) {
	plain, err := r.openObject(ctx, kindSnapshot, id)
	if errors.Is(err, storage.ErrNotExist) {
		return Snapshot{}, fmt.Errorf("%s in %s: %w", id, r, ErrNoSnapshot)
	}
	if err != nil {
		return Snapshot{}, err
	}
	return r.decodeSnapshot(id, plain)
}

func (r *Repository) decodeSnapshot(id ID, plain []byte) (Snapshot, error) {
	var snapshot Snapshot
	if err := r.decodeObject(kindSnapshot, plain, &snapshot); err != nil {
		return Snapshot{}, fmt.Errorf("decode %s: %w", kindSnapshot.name(id), err)
	}
	if snapshot.Tree == nil {
		return Snapshot{}, fmt.Errorf("%s names no tree", kindSnapshot.name(id))
	}
	snapshot.ID = id
	return snapshot, nil
}

// errContradiction says that the bucket lists an object but does not have it.
var errContradiction = errors.New("listed twice, but it is not there; run the command again")

// eachSnapshot reads all repository snapshots, several at once, and hands each of them to fn, one at a time and in no
// order. If one cannot be read, fn gets an error that names it. The first error that fn returns ends eachSnapshot.
func (r *Repository) eachSnapshot(ctx context.Context, fn func(ID, Snapshot, error) error) error {
	return r.inTwoListings(ctx, kindSnapshot, func(ids []ID, gone map[ID]bool) error {
		return r.eachSnapshotOf(ctx, ids, gone, fn)
	}, func(id ID) error {
		return fn(id, Snapshot{}, fmt.Errorf("%s: %w", kindSnapshot.name(id), &readError{errContradiction}))
	})
}

// eachSnapshotOf is eachSnapshot for the given ids, but notes in gone which of them are not there.
func (r *Repository) eachSnapshotOf(ctx context.Context, ids []ID, gone map[ID]bool, fn func(ID, Snapshot, error) error) error {
	err := r.openEach(ctx, kindSnapshot, ids, snapshotReaders, func(id ID, plain []byte, err error) error {
		if errors.Is(err, storage.ErrNotExist) {
			gone[id] = true
			return nil
		}
		var snapshot Snapshot
		if err == nil {
			snapshot, err = r.decodeSnapshot(id, plain)
		}
		return fn(id, snapshot, err)
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("read repository snapshots: %w", context.Cause(ctx))
	}
	return err
}

// Snapshots reads all repository snapshots, oldest first. It leaves out unreadable ones, and names them in the error,
// which it returns together with the others.
func (r *Repository) Snapshots(ctx context.Context) ([]Snapshot, error) {
	var (
		snapshots []Snapshot
		failures  []error
	)
	err := r.eachSnapshot(ctx, func(_ ID, snapshot Snapshot, err error) error {
		if err == nil {
			snapshots = append(snapshots, snapshot)
		} else {
			failures = append(failures, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(snapshots, func(a, b Snapshot) int {
		if order := a.Time.Compare(b.Time); order != 0 {
			return order
		}
		return format.Compare(a.ID, b.ID)
	})
	return snapshots, errors.Join(failures...)
}
