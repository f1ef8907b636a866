package location

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// What can be read is listed, whatever else cannot; and nothing is taken for another namespace's.
func TestRecords(t *testing.T) {
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
	for namespace, want := range map[string][]catalog.Name{"": {web, db}, "demo": {web}, "prod": {db}, "pro": {}} {
		if got, err := root.NamesIn(t.Context(), namespace); err != nil || !cmp.Equal(got, want) {
			t.Errorf("in namespace %q are %v, %v; want %v", namespace, got, err, want)
		}
	}
	gone := catalog.Name{Namespace: "demo", StatefulSet: "gone"}
	records, err := root.Records(t.Context(), []catalog.Name{web, gone, db})
	if !errors.Is(err, repository.ErrNoRepository) || len(records) != 2 || records[0].StatefulSet != "web" || records[1].StatefulSet != "db" {
		t.Errorf("the recovery points are %v, %v", records, err)
	}
	if found, err := root.Find(t.Context(), db, "20261121T08"); err != nil || found.Namespace != "prod" {
		t.Errorf("found %v, %v", found, err)
	}
	if _, err := root.Find(t.Context(), gone, ""); !errors.Is(err, repository.ErrNoRepository) {
		t.Errorf("found of what is not there: %v", err)
	}
}
