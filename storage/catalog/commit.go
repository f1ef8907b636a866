package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// pieceSize is the size of the pieces of record.json and manifests. These files are small; this bounds a blob all the
// same.
const pieceSize = 1 << 20

// Commit writes a record and its manifests, and so makes the recovery point exist. Before it writes anything, it
// refuses a record that names a missing repository snapshot, and returns ErrExists for an id that has been recorded
// already. The names of manifests become file names: characters other than letters, digits, ".", "-" and "_" become
// "_".
func (c *Catalog) Commit(ctx context.Context, record Record, manifests map[string][]byte) (err error) {
	fail := func(err error) error { return fmt.Errorf("commit recovery point %s of %s: %w", record.ID, c.host, err) }
	record.Version = RecordVersion
	files, err := filesOf(c.host, record, manifests)
	if err != nil {
		return fail(err)
	}
	if err := c.repo.Writable(); err != nil {
		return fail(err)
	}
	lock, err := c.repo.Lock(ctx)
	if err != nil {
		return fail(err)
	}
	defer func() { err = lock.End(ctx, err) }()
	ctx = lock.Context()
	if err := c.checkData(ctx, record); err != nil {
		return fail(err)
	}
	if err := c.repo.LoadIndexToWrite(ctx); err != nil {
		return fail(err)
	}
	tree, err := c.saveFiles(ctx, files, record.Finished)
	if err != nil {
		return fail(err)
	}
	if err := lock.Confirm(); err != nil {
		return fail(err)
	}
	_, _, err = c.repo.SaveSnapshot(ctx, repository.Snapshot{
		Time: record.Finished, Tree: &tree, Paths: []string{"/" + ManifestsFolder, "/" + recordName},
		Hostname: c.host, Username: "stsbackup", ProgramVersion: "stsbackup " + record.Tool,
		Tags: []string{TagStsbackup, TagRecoveryPoint + "=" + string(record.ID), TagRecord},
	})
	if err != nil {
		return fail(err)
	}
	return nil
}

// checkData makes sure that the data that the record names exists, and that the record itself does not.
func (c *Catalog) checkData(ctx context.Context, record Record) error {
	snapshots, err := c.repo.Snapshots(ctx)
	if err != nil {
		return err
	}
	known := map[string]repository.Snapshot{}
	for _, snapshot := range snapshots {
		known[snapshot.ID.String()] = snapshot
		if pointOf(snapshot) == record.ID && snapshot.HasTag(TagRecord) {
			return ErrExists
		}
	}
	for _, volume := range record.Volumes {
		if volume.RepositorySnapshot == "" {
			continue
		}
		snapshot, ok := known[volume.RepositorySnapshot]
		if !ok {
			return fmt.Errorf("claim %s: %s: %w", volume.Claim, volume.RepositorySnapshot, repository.ErrNoSnapshot)
		}
		if err := c.CheckOwner(snapshot, volume.Claim); err != nil {
			return fmt.Errorf("claim %s: %w", volume.Claim, err)
		}
	}
	return nil
}

// recordFiles is the content of a record's repository snapshot.
type recordFiles struct {
	record    []byte
	manifests map[string][]byte
}

func filesOf(host string, record Record, manifests map[string][]byte) (recordFiles, error) {
	if err := record.check(); err != nil {
		return recordFiles{}, err
	}
	if Host(record.Namespace, record.StatefulSet) != host {
		return recordFiles{}, fmt.Errorf("the record belongs to %s", Host(record.Namespace, record.StatefulSet))
	}
	encoded, err := encodeRecord(record)
	if err != nil {
		return recordFiles{}, err
	}
	files := recordFiles{record: append(encoded, '\n'), manifests: map[string][]byte{}}
	left := maxManifestsSize
	for _, name := range slices.Sorted(maps.Keys(manifests)) {
		clean := fileName(name)
		if _, taken := files.manifests[clean]; taken {
			return recordFiles{}, fmt.Errorf("two manifests have the file name %s", clean)
		}
		if len(manifests[name]) > min(left, maxManifestSize) {
			return recordFiles{}, fmt.Errorf("manifest %s has %d bytes, more than the %d that are allowed, or than the %d of all manifests",
				name, len(manifests[name]), maxManifestSize, maxManifestsSize)
		}
		left -= len(manifests[name])
		files.manifests[clean] = manifests[name]
	}
	return files, nil
}

// encodeRecord returns the JSON of a record. If that would be too large to be read again, it omits the names of files
// that were changed or could not be read, and keeps their numbers: the data counts for more.
func encodeRecord(record Record) ([]byte, error) {
	encoded, err := json.MarshalIndent(record, "", "  ")
	if err == nil && len(encoded) >= maxRecordSize {
		record.Volumes = slices.Clone(record.Volumes)
		for i := range record.Volumes {
			record.Volumes[i].Problems, record.Volumes[i].Changes = nil, nil
		}
		encoded, err = json.MarshalIndent(record, "", "  ")
	}
	if err == nil && len(encoded) >= maxRecordSize {
		err = fmt.Errorf("%d bytes are more than the %d that are allowed", len(encoded), maxRecordSize)
	}
	if err != nil {
		return nil, fmt.Errorf("encode the record: %w", err)
	}
	return encoded, nil
}

// fileName turns a manifest's name into one that is a plain file name everywhere.
func fileName(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, name)
	if strings.Trim(clean, ".") == "" {
		return "_" + clean
	}
	return clean
}

func (c *Catalog) saveFiles(ctx context.Context, files recordFiles, at time.Time) (tree repository.ID, err error) {
	w, err := c.repo.NewWriter(ctx)
	if err != nil {
		return repository.ID{}, err
	}
	var root, folder treeblob.Encoder
	for _, name := range slices.Sorted(maps.Keys(files.manifests)) {
		err = errors.Join(err, saveFile(ctx, w, &folder, name, files.manifests[name], at))
	}
	subtree, subErr := w.SaveBlob(ctx, repository.TreeBlob, folder.Bytes())
	err = errors.Join(err, subErr, root.Add(treeblob.Node{
		Name: ManifestsFolder, Type: treeblob.Dir, Mode: fs.ModeDir | 0o755,
		ModTime: at, AccessTime: at, ChangeTime: at, Subtree: &subtree,
	}))
	err = errors.Join(err, saveFile(ctx, w, &root, recordName, files.record, at))
	tree, treeErr := w.SaveBlob(ctx, repository.TreeBlob, root.Bytes())
	return tree, errors.Join(err, treeErr, w.Flush())
}

func saveFile(ctx context.Context, w *repository.Writer, tree *treeblob.Encoder, name string, data []byte, at time.Time) error {
	node := treeblob.Node{
		Name: name, Type: treeblob.File, Mode: 0o644, ModTime: at, AccessTime: at, ChangeTime: at,
		Size: uint64(len(data)), Links: 1, Content: []repository.ID{},
	}
	for piece := range slices.Chunk(data, pieceSize) {
		id, err := w.SaveBlob(ctx, repository.DataBlob, piece)
		if err != nil {
			return fmt.Errorf("save %s: %w", name, err)
		}
		node.Content = append(node.Content, id)
	}
	return tree.Add(node)
}
