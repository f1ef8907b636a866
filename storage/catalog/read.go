package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stsbackup/stsbackup/storage/repository"
)

const (
	recordName = "record.json"
	// ManifestsFolder is the directory with the manifests, in the repository snapshot of a record.
	ManifestsFolder = "manifests"
	// maxFileSize bounds record.json and each manifest when they are read: etcd bounds the objects they describe.
	maxFileSize = 16 << 20
)

// List reads the records of all recovery points, newest last. It returns every one that can be read; the error names
// those that cannot.
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
	// First the repository snapshots, then the index: it then knows all that they need.
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
		id, tagged := snapshot.Tag(TagRecoveryPoint)
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
	slices.SortStableFunc(records, func(a, b stored) int { return strings.Compare(a.ID, b.ID) })
	return records, errors.Join(failures...)
}

func (c *Catalog) readRecord(ctx context.Context, snapshot repository.Snapshot, id string) (Record, error) {
	nodes, err := c.repo.LoadTree(ctx, *snapshot.Tree)
	if err != nil {
		return Record{}, err
	}
	node, ok := findNode(nodes, recordName, repository.FileNode)
	if !ok {
		return Record{}, fmt.Errorf("repository snapshot %s holds no %s", snapshot.ID.Short(), recordName)
	}
	data, err := c.readFile(ctx, node)
	if err != nil {
		return Record{}, err
	}
	record, err := decodeRecord(data)
	if err != nil {
		return Record{}, fmt.Errorf("%s: %w", recordName, err)
	}
	if record.ID != id || Host(record.Namespace, record.StatefulSet) != c.host {
		return Record{}, fmt.Errorf("%s says that it is %.80q of %.160q", recordName, record.ID, Host(record.Namespace, record.StatefulSet))
	}
	return record, nil
}

// decodeRecord reads a record strictly. The version comes first: a later one may mean anything by its fields.
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
	var record Record
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&record); err != nil {
		return Record{}, fmt.Errorf("decode: %w", err)
	}
	if err := record.check(); err != nil {
		return Record{}, err
	}
	return record, nil
}

// check reports what no record may be.
func (r Record) check() error {
	if err := CheckID(r.ID); err != nil {
		return err
	}
	if r.State != StateComplete && r.State != StateIncomplete {
		return fmt.Errorf("unknown state %.40q", string(r.State))
	}
	for _, volume := range r.Volumes {
		if volume.RepositorySnapshot == "" {
			if volume.Error == "" {
				return fmt.Errorf("volume %.80q has neither data nor an error", volume.Claim)
			}
			continue
		}
		if _, err := repository.ParseID(volume.RepositorySnapshot); err != nil {
			return fmt.Errorf("volume %.80q: %w", volume.Claim, err)
		}
	}
	return nil
}

func findNode(nodes []repository.Node, name string, t repository.NodeType) (repository.Node, bool) {
	i := slices.IndexFunc(nodes, func(n repository.Node) bool { return n.Name == name && n.Type == t })
	if i < 0 {
		return repository.Node{}, false
	}
	return nodes[i], true
}

func (c *Catalog) readFile(ctx context.Context, node repository.Node) ([]byte, error) {
	var data []byte
	for _, id := range node.Content {
		blob, err := c.repo.LoadBlob(ctx, repository.DataBlob, id)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", node.Name, err)
		}
		if data = append(data, blob...); len(data) > maxFileSize {
			return nil, fmt.Errorf("%s is larger than the %d bytes that are allowed", node.Name, maxFileSize)
		}
	}
	return data, nil
}

// FindRecord returns the repository snapshot that holds the record and the manifests of the recovery point that Find finds.
func (c *Catalog) FindRecord(ctx context.Context, ref string) (repository.Snapshot, error) {
	record, err := c.Find(ctx, ref)
	if err != nil {
		return repository.Snapshot{}, err
	}
	records, listErr := c.list(ctx)
	i := slices.IndexFunc(records, func(r stored) bool { return r.ID == record.ID })
	if i < 0 { // it has been forgotten in this moment
		return repository.Snapshot{}, errors.Join(fmt.Errorf("%s@%s: %w", c.host, record.ID, ErrNoRecoveryPoint), listErr)
	}
	return records[i].snapshot, nil
}

// Manifests reads the manifests of a recovery point: name to content. ErrNoRecoveryPoint if there is none of this id.
func (c *Catalog) Manifests(ctx context.Context, id string) (map[string][]byte, error) {
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
	folder, ok := findNode(nodes, ManifestsFolder, repository.DirNode)
	if !ok || folder.Subtree == nil {
		return manifests, nil
	}
	if nodes, err = c.repo.LoadTree(ctx, *folder.Subtree); err != nil {
		return nil, err
	}
	for _, node := range nodes {
		if node.Type != repository.FileNode {
			continue
		}
		if manifests[node.Name], err = c.readFile(ctx, node); err != nil {
			return nil, err
		}
	}
	return manifests, nil
}
