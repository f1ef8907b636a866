package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// errNotListed says that a bucket has an object that its listings do not name.
var errNotListed = errors.New("it is there, and no listing of the bucket names it: the service's listings cannot be relied on, " +
	"and nothing is removed; see what is wrong with the service")

// Prune prunes the repository, and compares the listings with the records. If a record names a repository snapshot that
// no listing names, that is an error: the snapshot is no garbage. And while a recovery point has volumes but no listed
// record, Prune keeps what that record's own repository snapshot needs: the recovery point may be half forgotten, or
// never have been finished, but it may also be that only a listing leaves the record out.
func (c *Catalog) Prune(ctx context.Context, options repository.PruneOptions) (repository.PruneReport, error) {
	k := &comparison{host: c.host, records: map[repository.ID]*Record{}, roots: map[repository.ID]RecoveryPointID{}}
	options.Compare = k.compare
	return c.repo.Prune(ctx, options)
}

// comparison compares the listings with the records. It remembers what it has read: prune looks twice, the second time
// while others wait.
type comparison struct {
	host string

	mu      sync.Mutex
	records map[repository.ID]*Record // by their repository snapshots; nil if unreadable
	// roots are trees that no repository snapshot needs, with the id of the recovery point whose record is in the tree,
	// or "".
	roots map[repository.ID]RecoveryPointID
}

func (k *comparison) compare(ctx context.Context, found repository.Found) ([]repository.ID, error) {
	view := &Catalog{repo: found.Repository, host: k.host}
	points := view.sorted(found.Snapshots)
	if err := k.read(ctx, view, points); err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	for _, snapshot := range found.Snapshots {
		listed[snapshot.ID.String()] = true
	}
	leftovers := map[RecoveryPointID]bool{}
	for id, point := range points {
		if len(point.records) == 0 {
			leftovers[id] = true
		}
		for _, snapshot := range point.records {
			if err := k.missing(ctx, view, snapshot.ID, listed); err != nil {
				return nil, fmt.Errorf("recovery point %s: %w", id, err)
			}
		}
	}
	return k.keep(ctx, view, found, leftovers)
}

// read reads the new records.
func (k *comparison) read(ctx context.Context, view *Catalog, points map[RecoveryPointID]pieces) error {
	var fresh []repository.Snapshot
	for _, point := range points {
		for _, snapshot := range point.records {
			if _, known := k.records[snapshot.ID]; !known {
				fresh = append(fresh, snapshot)
			}
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, snapshot := range fresh {
		group.Go(func() error {
			id := pointOf(snapshot)
			record, err := view.readRecord(ctx, snapshot, id)
			if repository.Undecided(ctx, err) {
				return fmt.Errorf("read the record of recovery point %s: %w", id, err)
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.records[snapshot.ID] = &record; err != nil {
				k.records[snapshot.ID] = nil // a damaged record names nothing; verify reports it
			}
			return nil
		})
	}
	return group.Wait()
}

// missing returns an error for a repository snapshot that a record names but no listing does.
func (k *comparison) missing(ctx context.Context, view *Catalog, recordID repository.ID, listed map[string]bool) error {
	record := k.records[recordID]
	if record == nil {
		return nil
	}
	for _, volume := range record.Volumes {
		if volume.RepositorySnapshot == "" || listed[volume.RepositorySnapshot] {
			continue
		}
		there, err := view.has(ctx, volume.RepositorySnapshot)
		if there {
			return fmt.Errorf("repository snapshot %.8s of claim %s: %w", volume.RepositorySnapshot, volume.Claim, errNotListed)
		}
		if err != nil {
			return err
		}
		// Without a lock, as in a dry run, somebody may be forgetting the recovery point.
		if there, err := view.has(ctx, recordID.String()); err != nil || !there {
			return err
		}
		return fmt.Errorf(
			"repository snapshot %.8s of claim %s is missing; nothing is removed from a damaged repository: bring it back from a version "+
				"or a copy of the bucket, or give the recovery point up with: stsbackup forget %s@%s",
			volume.RepositorySnapshot,
			volume.Claim,
			k.host,
			record.ID,
		)
	}
	return nil
}

// has asks for a repository snapshot by its id. A damaged one exists.
func (c *Catalog) has(ctx context.Context, text string) (bool, error) {
	id, err := repository.ParseID(text)
	if err != nil {
		return false, err
	}
	_, err = c.repo.LoadSnapshot(ctx, id)
	switch {
	case errors.Is(err, repository.ErrNoSnapshot):
		return false, nil
	case repository.Undecided(ctx, err):
		return false, fmt.Errorf("look for repository snapshot %.8s: %w", text, err)
	default:
		return true, nil
	}
}

// keep finds the records of recovery points with only volumes listed, among trees that no repository snapshot needs.
func (k *comparison) keep(
	ctx context.Context,
	view *Catalog,
	found repository.Found,
	leftovers map[RecoveryPointID]bool,
) ([]repository.ID, error) {
	if len(leftovers) == 0 {
		return nil, nil // the usual case: read nothing
	}
	var keep []repository.ID
	for root := range found.Unneeded {
		id, known := k.roots[root]
		if !known {
			var err error
			if id, err = view.recordIn(ctx, root); err != nil {
				return nil, err
			}
			k.roots[root] = id
		}
		if leftovers[id] {
			keep = append(keep, root)
		}
	}
	return keep, nil
}

// recordIn returns the id of the recovery point whose record and manifests a tree holds completely; "" if there are
// none.
func (c *Catalog) recordIn(ctx context.Context, root repository.ID) (id RecoveryPointID, err error) {
	tree, err := c.repo.ReadTree(ctx, root)
	if err == nil {
		var first treeblob.Node
		if first, err = tree.Next(); err == nil && first.Name != ManifestsFolder { // most trees are large, and belong to no record
			return "", nil
		}
	}
	var record Record
	if err == nil {
		record, err = c.recordBelow(ctx, root)
	}
	if err == nil {
		_, err = c.readManifests(ctx, root)
	}
	if repository.Undecided(ctx, err) {
		return "", fmt.Errorf("look for records that are not listed: %w", err)
	}
	if err != nil {
		return "", nil //nolint:nilerr // it is no record, or none that could be kept
	}
	return record.ID, nil
}
