package operations

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// web is the StatefulSet that the tests use.
func web() scheduler.Name { return scheduler.Name{Namespace: "demo", StatefulSet: "web"} }

// world is a repository root in memory on 21 November 2026 at noon, with four recovery points of demo/web that cluster
// c has made, the last two on that day; and the scheduler of a cluster.
type world struct {
	*Operations
	t      *testing.T
	bucket *storagetest.Memory
	points *catalog.Catalog
	ids    []string
	log    strings.Builder
}

// newWorld makes a scheduler in the cluster with this identity.
func newWorld(t *testing.T, uid types.UID) *world {
	t.Helper()
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	w := &world{t: t, bucket: storagetest.NewMemory()}
	root := location.NewRoot("s3://root", w.bucket, "root")
	w.Operations = New(Config{
		Root:    func() (*location.Root, error) { return root, nil },
		Cluster: &cluster.Client{Kube: fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: uid}})},
		Holder:  "me", Random: rand.Reader, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		Now: func() time.Time { return noon },
	})
	points, err := root.OpenOrCreate(t.Context(), catalog.Name(web()))
	if err != nil {
		t.Fatal(err)
	}
	w.points = points
	for i, begun := range []time.Duration{-52 * time.Hour, -28 * time.Hour, -5 * time.Hour, -4 * time.Hour} {
		w.ids = append(w.ids, w.add(noon.Add(begun), fmt.Sprintf("%04d", i+1)))
	}
	return w
}

// add makes a recovery point with one empty volume.
func (w *world) add(begun time.Time, suffix string) string {
	w.t.Helper()
	id := begun.UTC().Format("20060102T150405Z") + "-" + suffix
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
	volume, _, err := w.points.Repository().SaveSnapshot(w.t.Context(), repository.Snapshot{
		Time: begun, Tree: &tree, Paths: []string{"/www-web-0"}, Hostname: "demo/web",
		Tags: []string{catalog.TagStsbackup, catalog.TagClaim + "=www-web-0", catalog.TagRecoveryPoint + "=" + id},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	err = w.points.Commit(w.t.Context(), catalog.Record{
		ID: catalog.RecoveryPointID(id), State: catalog.StateComplete, Cluster: "c", Namespace: "demo", StatefulSet: "web",
		Started: begun, Finished: begun.Add(time.Minute), Replicas: 1,
		Volumes: []catalog.Volume{{Claim: "www-web-0", Capture: catalog.CaptureLive, Cut: begun, RepositorySnapshot: volume.String()}},
	}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// left returns the ids of the recovery points that still exist.
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

// lock holds somebody else's lock with these texts, until it is released or the test ends.
func (w *world) lock(host, operation string) (release func()) {
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
	lock, err := repo.Lock(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	release = func() { _ = lock.Release(w.t.Context()) } // removed or not
	w.t.Cleanup(release)
	return release
}

// packs returns the names of the packs.
func (w *world) packs() []string {
	w.t.Helper()
	var names []string
	err := w.bucket.List(w.t.Context(), "demo/web/data/", func(info storage.Info) error {
		names = append(names, info.Name)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return names
}

// put makes an object without meaning.
func (w *world) put(name string) {
	w.t.Helper()
	if err := w.bucket.Put(w.t.Context(), name, []byte("damaged")); err != nil {
		w.t.Fatal(err)
	}
}
