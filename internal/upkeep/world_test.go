package upkeep

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// web is the StatefulSet of the tests.
func web() catalog.Name { return catalog.Name{Namespace: "demo", StatefulSet: "web"} }

// world is a root in memory on 21 November 2026 at noon. It has four recovery points of demo/web, the last from
// that day, and the leftovers of an interrupted backup.
type world struct {
	*Upkeep
	t      *testing.T
	bucket *storagetest.Memory
	points *catalog.Catalog
	ids    []string
	dead   string
	// told is what a person was told.
	told []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	w := &world{t: t, bucket: storagetest.NewMemory(), dead: "20261118T010000Z-dead"}
	w.Upkeep = w.at(w.bucket)
	w.Now = func() time.Time { return noon }
	points, err := location.NewRoot("", w.bucket, "root").OpenOrCreate(t.Context(), web())
	if err != nil {
		t.Fatal(err)
	}
	w.points = points
	w.volume(w.dead, noon.Add(-83*time.Hour))
	for i, begun := range []time.Duration{-52 * time.Hour, -28 * time.Hour, -5 * time.Hour, -4 * time.Hour} {
		w.ids = append(w.ids, w.add(noon.Add(begun), fmt.Sprintf("%04d", i+1)))
	}
	return w
}

// at returns an Upkeep for what is in a bucket.
func (w *world) at(bucket storage.Bucket) *Upkeep {
	return &Upkeep{
		Repositories: location.NewRoot("mem://root?secret=1", bucket, "root"),
		Note:         func(text string) { w.told = append(w.told, text) },
	}
}

// add makes a recovery point with one empty volume.
func (w *world) add(begun time.Time, suffix string) string {
	w.t.Helper()
	id := begun.UTC().Format("20060102T150405Z") + "-" + suffix
	err := w.points.Commit(w.t.Context(), catalog.Record{
		ID: catalog.RecoveryPointID(id), State: catalog.StateComplete, Cluster: "c", Namespace: "demo", StatefulSet: "web",
		Started: begun, Finished: begun.Add(time.Minute), Replicas: 1,
		Volumes: []catalog.Volume{{Claim: "www-web-0", Capture: catalog.CaptureLive, Cut: begun, RepositorySnapshot: w.volume(id, begun)}},
	}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// volume saves an empty volume of a recovery point.
func (w *world) volume(id string, begun time.Time) string {
	w.t.Helper()
	writer, err := w.points.Repository().NewWriter(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	tree, err := writer.SaveBlob(w.t.Context(), repository.TreeBlob, new(treeblob.Encoder).Bytes())
	if err == nil {
		err = writer.Flush()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	saved, _, err := w.points.Repository().SaveSnapshot(w.t.Context(), repository.Snapshot{
		Time: begun, Tree: &tree, Paths: []string{"/www-web-0"}, Hostname: "demo/web",
		Tags: []string{catalog.TagStsbackup, catalog.TagClaim + "=www-web-0", catalog.TagRecoveryPoint + "=" + id},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return saved.String()
}

// left are the ids of the existing recovery points.
func (w *world) left() []string {
	w.t.Helper()
	points, err := w.points.Points(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, point := range points {
		ids = append(ids, string(point.ID))
	}
	return ids
}

// lock leaves a lock of somebody else, with this host and operation.
func (w *world) lock(host, operation string) {
	w.t.Helper()
	bucket, err := storage.Sub(w.bucket, "demo/web")
	if err != nil {
		w.t.Fatal(err)
	}
	repo, err := repository.Open(w.t.Context(), bucket, catalog.Password("root", "demo", "web"),
		repository.Options{Hostname: host, Operation: operation})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := repo.Lock(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// names are the names of the objects that begin with prefix.
func (w *world) names(prefix string) []string {
	w.t.Helper()
	var names []string
	err := w.bucket.List(w.t.Context(), prefix, func(info storage.Info) error {
		names = append(names, info.Name)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return names
}

// damage replaces objects whose names begin with prefix.
func (w *world) damage(prefix string) {
	w.t.Helper()
	for _, name := range w.names(prefix) {
		if err := w.bucket.Put(w.t.Context(), name, []byte("damaged")); err != nil {
			w.t.Fatal(err)
		}
	}
}

// wasTold reports whether a person was told something like this.
func (w *world) wasTold(text string) bool { return strings.Contains(strings.Join(w.told, "\n"), text) }
