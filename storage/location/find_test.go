package location

import (
	"errors"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// Find looks for a recovery point in the repository of its StatefulSet, and nowhere else.
func TestFind(t *testing.T) {
	t.Parallel()
	root := NewRoot("memory://", storagetest.NewMemory(), "root password")
	web, db := catalog.Name{Namespace: "demo", StatefulSet: "web"}, catalog.Name{Namespace: "prod", StatefulSet: "db"}
	begun := time.Date(2026, 11, 21, 8, 12, 0, 0, time.UTC)
	for _, name := range []catalog.Name{db, web} {
		points, err := root.OpenOrCreate(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		record := catalog.Record{
			ID: "20261121T081200Z-0001", Namespace: name.Namespace, StatefulSet: name.StatefulSet, Cluster: "cluster-uid",
			State: catalog.StateComplete, Replicas: 2, Started: begun, Finished: begun.Add(time.Second),
		}
		if err := points.Commit(t.Context(), record, nil); err != nil {
			t.Fatal(err)
		}
	}
	gone := catalog.Name{Namespace: "demo", StatefulSet: "gone"}
	if found, err := root.Find(t.Context(), db, "20261121T08"); err != nil || found.Namespace != "prod" {
		t.Errorf("found %v, %v", found, err)
	}
	if _, err := root.Find(t.Context(), gone, ""); !errors.Is(err, repository.ErrNoRepository) {
		t.Errorf("found of what is not there: %v", err)
	}
}
