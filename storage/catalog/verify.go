package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// Verification is what Verify has found. Everything is whole if OK says so.
type Verification struct {
	// Repository is what the check of the repository has found.
	Repository repository.CheckReport `json:"repository"`
	// Points are the recovery points, newest last.
	Points []PointVerification `json:"recoveryPoints"`
	// Failures are unreadable records, whose recovery points cannot be judged.
	Failures []string `json:"failures"`
}

// PointVerification says what one recovery point is worth.
type PointVerification struct {
	ID    RecoveryPointID `json:"id"`
	State State           `json:"state"`
	// Volumes is how many volumes its record says it holds.
	Volumes int `json:"volumes"`
	// Problems says what is missing or damaged in it.
	Problems []string `json:"problems"`
}

// OK reports whether nothing is wrong.
func (v Verification) OK() bool { return len(v.Repository.Problems) == 0 && v.pointsOK() }

// OnlyLocks reports that locks are damaged, and nothing else: every recovery point is whole, and a damaged lock goes
// away by itself.
func (v Verification) OnlyLocks() bool { return v.Repository.OnlyLocks() && v.pointsOK() }

// pointsOK reports whether every recovery point has been judged, and is whole. Data missing from the repository is
// damage to recovery points only: the repository itself cannot know what should be there.
func (v Verification) pointsOK() bool {
	return len(v.Failures) == 0 && !slices.ContainsFunc(v.Points, func(p PointVerification) bool { return len(p.Problems) > 0 })
}

// Verify checks the repository, and that everything that the records name is in it: for all recovery points, or, with a
// ref as Find takes it, for one and the part of the repository that it needs. The Verification lists damage; an error
// says that there could be no verdict.
func (c *Catalog) Verify(ctx context.Context, ref string, options repository.CheckOptions) (Verification, error) {
	fail := func(err error) (Verification, error) { return Verification{}, fmt.Errorf("verify %s: %w", c.host, err) }
	ctx = storage.WithDoubt(ctx, true) // anything missing from a listing would be called damage, and people remove what is damaged
	var only RecoveryPointID
	if ref != "" {
		record, err := c.Find(ctx, ref)
		if err != nil {
			return Verification{}, err
		}
		only = record.ID
		if options.Snapshots, err = c.needs(ctx, record); err != nil {
			return fail(err)
		}
	}
	report, err := c.repo.Check(ctx, options)
	if err != nil {
		return fail(err)
	}
	v := Verification{Repository: report, Points: []PointVerification{}, Failures: []string{}}
	records, err := c.list(ctx)
	switch {
	case repository.Undecided(ctx, err):
		return fail(err)
	case err != nil && only == "": // an unreadable other record says nothing about this one, which has been found
		v.Failures = eachOf(err)
	}
	snapshots, err := c.repo.Snapshots(ctx)
	if repository.Undecided(ctx, err) {
		return fail(err) // the report has the damage already
	}
	for _, record := range records {
		if only != "" && record.ID != only {
			continue
		}
		hidden, err := c.hidden(ctx, record, snapshots)
		if err != nil {
			return fail(err)
		}
		v.Points = append(v.Points, c.verifyPoint(record, snapshots, report.Damaged, hidden))
	}
	return v, nil
}

// eachOf splits joined errors.
func eachOf(err error) []string {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	var texts []string
	for _, err := range joined.Unwrap() {
		texts = append(texts, eachOf(err)...)
	}
	return texts
}

// needs are the repository snapshots of a recovery point, including its record.
func (c *Catalog) needs(ctx context.Context, record Record) ([]repository.ID, error) {
	var ids []repository.ID
	for _, volume := range record.Volumes {
		if volume.RepositorySnapshot == "" {
			continue
		}
		id, err := repository.ParseID(volume.RepositorySnapshot)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	records, err := c.list(ctx)
	for _, r := range records {
		if r.ID == record.ID {
			return append(ids, r.snapshot.ID), nil
		}
	}
	return nil, errors.Join(fmt.Errorf("%s@%s: %w", c.host, record.ID, ErrNoRecoveryPoint), err)
}

// hidden are the repository snapshots that a record names and that exist, but that no listing shows.
func (c *Catalog) hidden(ctx context.Context, record stored, snapshots []repository.Snapshot) (map[string]bool, error) {
	hidden := map[string]bool{}
	for _, volume := range record.Volumes {
		id := volume.RepositorySnapshot
		if id == "" || slices.ContainsFunc(snapshots, func(s repository.Snapshot) bool { return s.ID.String() == id }) {
			continue
		}
		parsed, err := repository.ParseID(id)
		if err != nil {
			continue // no record that was read has such an id
		}
		_, err = c.repo.LoadSnapshot(ctx, parsed)
		if repository.Undecided(ctx, err) {
			return nil, err
		}
		hidden[id] = err == nil
	}
	return hidden, nil
}

// verifyPoint compares a record with the existing repository snapshots.
func (c *Catalog) verifyPoint(
	record stored,
	snapshots []repository.Snapshot,
	damaged []repository.ID,
	hidden map[string]bool,
) PointVerification {
	v := PointVerification{ID: record.ID, State: record.State, Problems: []string{}}
	if slices.Contains(damaged, record.snapshot.ID) {
		v.Problems = append(v.Problems, "its record or its manifests are damaged")
	}
	known := map[string]repository.Snapshot{}
	for _, snapshot := range snapshots {
		known[snapshot.ID.String()] = snapshot
	}
	for _, volume := range record.Volumes {
		if volume.RepositorySnapshot == "" {
			continue
		}
		v.Volumes++
		snapshot, ok := known[volume.RepositorySnapshot]
		owner := c.CheckOwner(snapshot, volume.Claim)
		switch {
		case !ok && hidden[volume.RepositorySnapshot]:
			v.Problems = append(
				v.Problems,
				fmt.Sprintf("claim %s: repository snapshot %.8s: %v", volume.Claim, volume.RepositorySnapshot, errNotListed),
			)
		case !ok:
			v.Problems = append(
				v.Problems,
				fmt.Sprintf("claim %s: its repository snapshot %.8s is missing or cannot be read", volume.Claim, volume.RepositorySnapshot),
			)
		case owner != nil:
			v.Problems = append(v.Problems, fmt.Sprintf("claim %s: %s", volume.Claim, owner))
		case slices.Contains(damaged, snapshot.ID):
			v.Problems = append(
				v.Problems,
				fmt.Sprintf("claim %s: its data is damaged (repository snapshot %.8s)", volume.Claim, volume.RepositorySnapshot),
			)
		}
	}
	return v
}
