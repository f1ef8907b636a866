package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// Find returns the recovery point that ref means. "" and "latest" mean the newest complete one. An id, or a beginning
// that only one id has, means that one. An RFC 3339 time means the last complete one whose data is from that time or
// earlier. Find returns an incomplete one only by its id. The errors are ErrNoRecoveryPoint and ErrAmbiguous, and list
// the existing ids.
func (c *Catalog) Find(ctx context.Context, ref string) (Record, error) {
	records, listErr := c.List(ctx)
	if listErr != nil && records == nil {
		return Record{}, listErr
	}
	record, byName, err := choose(records, ref)
	if err == nil && (listErr == nil || byName) {
		return record, nil
	}
	// An unreadable one may be the newest: better no recovery point than an older one by surprise.
	if err == nil {
		return Record{}, fmt.Errorf("find %q of %s: %w; name a recovery point by its id to use it all the same", ref, c.host, listErr)
	}
	if listErr != nil {
		// It may be one of the unreadable ones: this is damage, and not ErrNoRecoveryPoint.
		return Record{}, fmt.Errorf("%s: %s; and not all could be read: %w", c.host, err.Error(), listErr)
	}
	return Record{}, fmt.Errorf("%s: %w", c.host, err)
}

// choose is Find on the records; byName says that ref was an id or a part of one.
func choose(records []Record, ref string) (record Record, byName bool, err error) {
	complete := slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.State != StateComplete })
	if ref == "" || ref == "latest" {
		if len(complete) == 0 {
			return Record{}, false, fmt.Errorf("no complete recovery point: %w; there are %s", ErrNoRecoveryPoint, among(records))
		}
		return complete[len(complete)-1], false, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, ref); err == nil {
		return chooseTime(complete, records, at)
	}
	var matches []Record
	for _, r := range records {
		if string(r.ID) == ref {
			return r, true, nil
		}
		if strings.HasPrefix(string(r.ID), ref) {
			matches = append(matches, r)
		}
	}
	switch len(matches) {
	case 0:
		return Record{}, true, fmt.Errorf(
			"%w as %.80q, which is neither the beginning of an id nor a time; there are %s",
			ErrNoRecoveryPoint,
			ref,
			among(records),
		)
	case 1:
		return matches[0], true, nil
	default:
		return Record{}, true, fmt.Errorf("%w: %.80q could be any of %s", ErrAmbiguous, ref, among(matches))
	}
}

func chooseTime(complete, records []Record, at time.Time) (Record, bool, error) {
	for _, r := range slices.Backward(complete) {
		if !r.dataTime().After(at) {
			return r, false, nil
		}
	}
	return Record{}, false, fmt.Errorf(
		"%w: no complete one is as old as %s; there are %s",
		ErrNoRecoveryPoint,
		at.Format(time.RFC3339),
		among(records),
	)
}

// dataTime is the time of the last cut: no data of the recovery point is younger.
func (r Record) dataTime() time.Time {
	latest := r.Started
	for _, volume := range r.Volumes {
		if volume.Cut.After(latest) {
			latest = volume.Cut
		}
	}
	return latest
}

// among lists the existing ids, newest first, for a message.
func among(records []Record) string {
	const shown = 10
	if len(records) == 0 {
		return "none at all"
	}
	var ids []string
	for _, r := range slices.Backward(records) {
		if len(ids) == shown {
			ids = append(ids, fmt.Sprintf("and %d more", len(records)-shown))
			break
		}
		id := string(r.ID)
		if r.State != StateComplete {
			id += " (" + string(r.State) + ")"
		}
		ids = append(ids, id)
	}
	return strings.Join(ids, ", ")
}

// FindVolume returns the repository snapshot with the data of one claim. With a ref it takes it from the recovery point
// that Find finds. With an empty ref it takes the newest one of this claim, from all complete recovery points and from
// repository snapshots made outside of any recovery point. Leftovers of an interrupted backup do not count, and an
// incomplete recovery point counts only if its id was given.
func (c *Catalog) FindVolume(ctx context.Context, ref, claim string) (repository.Snapshot, error) {
	if ref != "" {
		record, err := c.Find(ctx, ref)
		if err != nil {
			return repository.Snapshot{}, err
		}
		return c.volumeOf(ctx, record, claim)
	}
	records, err := c.List(ctx)
	if err != nil {
		return repository.Snapshot{}, err
	}
	snapshots, err := c.repo.Snapshots(ctx)
	if err != nil {
		return repository.Snapshot{}, fmt.Errorf("%s: %w", c.host, err)
	}
	recorded := map[string]bool{}
	var incomplete RecoveryPointID // the newest incomplete recovery point that has the claim
	for _, record := range records {
		for _, volume := range record.Volumes {
			switch {
			case volume.Claim != claim || volume.RepositorySnapshot == "":
			case record.State == StateComplete:
				recorded[volume.RepositorySnapshot] = true
			default:
				incomplete = record.ID
			}
		}
	}
	for _, snapshot := range slices.Backward(snapshots) {
		_, ofPoint := snapshot.Tag(TagRecoveryPoint)
		if name, _ := snapshot.Tag(TagClaim); name != claim || snapshot.Hostname != c.host {
			continue
		}
		if !ofPoint || recorded[snapshot.ID.String()] {
			return snapshot, nil
		}
	}
	if incomplete != "" {
		return repository.Snapshot{}, fmt.Errorf(
			"claim %s of %s has no backup that is complete: %w; name the incomplete recovery point %s to have what it holds",
			claim,
			c.host,
			ErrNoRecoveryPoint,
			incomplete,
		)
	}
	return repository.Snapshot{}, fmt.Errorf("claim %s of %s has no backup: %w", claim, c.host, ErrNoRecoveryPoint)
}

func (c *Catalog) volumeOf(ctx context.Context, record Record, claim string) (repository.Snapshot, error) {
	var claims []string
	for _, volume := range record.Volumes {
		if volume.Claim != claim {
			claims = append(claims, volume.Claim)
			continue
		}
		if volume.RepositorySnapshot == "" {
			return repository.Snapshot{}, fmt.Errorf("claim %s could not be saved in recovery point %s of %s (%s): %w",
				claim, record.ID, c.host, volume.Error, ErrNoRecoveryPoint)
		}
		id, err := repository.ParseID(volume.RepositorySnapshot)
		if err != nil {
			return repository.Snapshot{}, fmt.Errorf("recovery point %s of %s: %w", record.ID, c.host, err)
		}
		snapshot, err := c.repo.LoadSnapshot(ctx, id)
		if err == nil {
			err = c.CheckOwner(snapshot, claim)
		}
		if err != nil {
			return repository.Snapshot{}, fmt.Errorf("recovery point %s of %s: claim %s: %w", record.ID, c.host, claim, err)
		}
		return snapshot, nil
	}
	return repository.Snapshot{}, fmt.Errorf("recovery point %s of %s has no claim %s, but %s: %w",
		record.ID, c.host, claim, strings.Join(claims, ", "), ErrNoRecoveryPoint)
}

// CheckOwner reports a repository snapshot of another StatefulSet, or of another claim: then a record that names it is
// wrong, and its data is somebody else's. With an empty claim, any claim of the StatefulSet will do.
func (c *Catalog) CheckOwner(snapshot repository.Snapshot, claim string) error {
	of, _ := snapshot.Tag(TagClaim)
	if snapshot.Hostname == c.host && (claim == "" || of == claim) {
		return nil
	}
	return fmt.Errorf("its repository snapshot %s belongs to claim %q of %q", snapshot.ID.Short(), of, snapshot.Hostname)
}
