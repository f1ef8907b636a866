package catalog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

const (
	recordName = "record.json"
	// ManifestsFolder is the directory with the manifests, in the repository snapshot of a record.
	ManifestsFolder = "manifests"
)

// List reads the records of all recovery points, newest last. It returns every readable one; the error names the
// others.
func (c *Catalog) List(ctx context.Context) ([]Record, error) {
	records, err := c.list(ctx)
	out := make([]Record, len(records))
	for i, r := range records {
		out[i] = r.Record
	}
	return out, err
}

// stored is a record and the repository snapshot that holds it.
type stored struct {
	Record
	snapshot repository.Snapshot
}

func (c *Catalog) list(ctx context.Context) ([]stored, error) {
	// First the repository snapshots, then the index: so the index knows everything they need.
	snapshots, listErr := c.repo.Snapshots(ctx)
	if listErr != nil && snapshots == nil {
		return nil, fmt.Errorf("%s: %w", c.host, listErr)
	}
	if err := c.repo.LoadIndex(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", c.host, err)
	}
	failures := []error{listErr}
	var records []stored
	for _, snapshot := range snapshots {
		id := pointOf(snapshot)
		_, tagged := snapshot.Tag(TagRecoveryPoint)
		if !tagged || !snapshot.HasTag(TagRecord) || !snapshot.HasTag(TagStsbackup) || snapshot.Hostname != c.host {
			continue
		}
		record, err := c.readRecord(ctx, snapshot, id)
		if err != nil {
			failures = append(failures, fmt.Errorf("recovery point %s of %s: %w", id, c.host, err))
			continue
		}
		records = append(records, stored{Record: record, snapshot: snapshot})
	}
	slices.SortStableFunc(records, func(a, b stored) int { return cmp.Compare(a.ID, b.ID) })
	return records, errors.Join(failures...)
}

func (c *Catalog) readRecord(ctx context.Context, snapshot repository.Snapshot, id RecoveryPointID) (Record, error) {
	record, err := c.recordBelow(ctx, *snapshot.Tree)
	if err != nil {
		return Record{}, fmt.Errorf("repository snapshot %s: %w", snapshot.ID.Short(), err)
	}
	if record.ID != id || Host(record.Namespace, record.StatefulSet) != c.host {
		return Record{}, fmt.Errorf("%s says that it is %.80q of %.160q", recordName, record.ID, Host(record.Namespace, record.StatefulSet))
	}
	return record, nil
}

// recordBelow reads the record in a tree.
func (c *Catalog) recordBelow(ctx context.Context, root repository.ID) (Record, error) {
	nodes, err := c.repo.LoadTree(ctx, root)
	if err != nil {
		return Record{}, err
	}
	node, ok := findNode(nodes, recordName, treeblob.File)
	if !ok {
		return Record{}, fmt.Errorf("it holds no %s", recordName)
	}
	data, err := c.readFile(ctx, node, maxRecordSize)
	if err != nil {
		return Record{}, err
	}
	record, err := decodeRecord(data)
	if err != nil {
		return Record{}, fmt.Errorf("%s: %w", recordName, err)
	}
	return record, nil
}

// decodeRecord reads a record strictly. It checks the version first: in a later version, the fields may mean anything.
func decodeRecord(data []byte) (Record, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Record{}, fmt.Errorf("decode: %w", err)
	}
	if head.Version > RecordVersion {
		return Record{}, fmt.Errorf("written by a later stsbackup (record version %d, this one knows up to %d); use a newer one to read it",
			head.Version, RecordVersion)
	}
	if head.Version < 1 {
		return Record{}, fmt.Errorf("record version %d is not possible", head.Version)
	}
	var read recordJSON
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return Record{}, fmt.Errorf("decode: %w", err)
	}
	record := read.Record
	record.Volumes, record.LeftOut = read.Volumes, read.LeftOut
	if err := record.check(); err != nil {
		return Record{}, err
	}
	return record, nil
}

// check reports values that no record may have.
func (r Record) check() error {
	if err := CheckID(r.ID); err != nil {
		return err
	}
	if r.State != StateComplete && r.State != StateIncomplete {
		return fmt.Errorf("unknown state %.40q", string(r.State))
	}
	if err := r.checkNumbers(); err != nil {
		return err
	}
	for _, volume := range r.Volumes {
		if err := volume.checkData(); err != nil {
			return err
		}
		if volume.RepositorySnapshot == "" {
			continue
		}
		if _, err := repository.ParseID(volume.RepositorySnapshot); err != nil {
			return fmt.Errorf("volume %.80q: %w", volume.Claim, err)
		}
	}
	return nil
}

func findNode(nodes []treeblob.Node, name string, t treeblob.Type) (treeblob.Node, bool) {
	i := slices.IndexFunc(nodes, func(n treeblob.Node) bool { return n.Name == name && n.Type == t })
	if i < 0 {
		return treeblob.Node{}, false
	}
	return nodes[i], true
}

// readFile reads a file of at most most bytes. It knows how large the pieces are before it reads any.
func (c *Catalog) readFile(ctx context.Context, node treeblob.Node, most int64) ([]byte, error) {
	size := int64(0)
	for _, id := range node.Content {
		at, err := c.repo.Locate(repository.DataBlob, id)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", node.Name, err)
		}
		if size += int64(at.PlainLength); size > most || len(node.Content) > maxPieces {
			return nil, fmt.Errorf("%s is larger than the %d bytes, or has more than the %d pieces, that are allowed", node.Name, most, maxPieces)
		}
	}
	var data []byte
	for _, id := range node.Content {
		blob, err := c.repo.LoadBlob(ctx, repository.DataBlob, id)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", node.Name, err)
		}
		data = append(data, blob...)
	}
	return data, nil
}

// FindRecord returns the repository snapshot with the record and the manifests of the recovery point that Find finds.
func (c *Catalog) FindRecord(ctx context.Context, ref string) (repository.Snapshot, error) {
	record, err := c.Find(ctx, ref)
	if err != nil {
		return repository.Snapshot{}, err
	}
	records, listErr := c.list(ctx)
	i := slices.IndexFunc(records, func(r stored) bool { return r.ID == record.ID })
	if i < 0 { // it has just been forgotten
		return repository.Snapshot{}, errors.Join(fmt.Errorf("%s@%s: %w", c.host, record.ID, ErrNoRecoveryPoint), listErr)
	}
	return records[i].snapshot, nil
}

// Manifests reads the manifests of a recovery point: name to content. It returns ErrNoRecoveryPoint if there is none
// with this id.
func (c *Catalog) Manifests(ctx context.Context, id RecoveryPointID) (map[string][]byte, error) {
	records, listErr := c.list(ctx)
	i := slices.IndexFunc(records, func(r stored) bool { return r.ID == id })
	if i < 0 {
		return nil, errors.Join(fmt.Errorf("%s@%s: %w", c.host, id, ErrNoRecoveryPoint), listErr)
	}
	manifests, err := c.readManifests(ctx, *records[i].snapshot.Tree)
	if err != nil {
		return nil, fmt.Errorf("manifests of recovery point %s of %s: %w", id, c.host, err)
	}
	return manifests, nil
}

func (c *Catalog) readManifests(ctx context.Context, root repository.ID) (map[string][]byte, error) {
	nodes, err := c.repo.LoadTree(ctx, root)
	if err != nil {
		return nil, err
	}
	manifests := map[string][]byte{}
	folder, ok := findNode(nodes, ManifestsFolder, treeblob.Dir)
	if !ok || folder.Subtree == nil {
		return manifests, nil
	}
	if nodes, err = c.repo.LoadTree(ctx, *folder.Subtree); err != nil {
		return nil, err
	}
	left := int64(maxManifestsSize)
	for _, node := range nodes {
		if node.Type != treeblob.File {
			continue
		}
		if manifests[node.Name], err = c.readFile(ctx, node, min(left, maxManifestSize)); err != nil {
			return nil, err
		}
		left -= int64(len(manifests[node.Name]))
	}
	return manifests, nil
}
