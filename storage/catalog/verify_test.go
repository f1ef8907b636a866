package catalog

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

func TestVerify(t *testing.T) {
	w := newWorld(t)
	first := w.commit(t, w.record(t, "0001", started, StateComplete))
	second := w.commit(t, w.record(t, "0002", started.Add(time.Hour), StateIncomplete))
	v, err := w.Verify(t.Context(), "", repository.CheckOptions{ReadData: 1})
	if err != nil || !v.OK() || len(v.Points) != 2 || v.Points[1].Volumes != 1 || v.Repository.Snapshots != 4 {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := w.Verify(t.Context(), "2020", repository.CheckOptions{}); !errors.Is(err, ErrNoRecoveryPoint) {
		t.Errorf("unknown recovery point: %v", err)
	}

	// Somebody who knows nothing about recovery points forgets the second one's data.
	if err := w.bucket.Delete(t.Context(), "demo/web/snapshots/"+second.Volumes[0].RepositorySnapshot); err != nil {
		t.Fatal(err)
	}
	v, err = w.Verify(t.Context(), "", repository.CheckOptions{})
	if err != nil || v.OK() || len(v.Points[0].Problems) != 0 || len(v.Points[1].Problems) != 1 ||
		!strings.Contains(v.Points[1].Problems[0], "www-web-0") {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err = w.Verify(t.Context(), string(first.ID), repository.CheckOptions{}); err != nil || !v.OK() || len(v.Points) != 1 ||
		v.Repository.Snapshots != 2 {
		t.Errorf("the first one alone: %+v, %v", v, err)
	}
	if v, err = w.Verify(t.Context(), string(second.ID), repository.CheckOptions{}); err != nil || v.OK() {
		t.Errorf("the second one alone: %+v, %v", v, err)
	}
}

// TestVerifyTellsLocksFromDamage: a damaged lock alone affects no recovery point, and hides none that lacks something.
func TestVerifyTellsLocksFromDamage(t *testing.T) {
	w := newWorld(t)
	r := w.commit(t, w.record(t, "0001", started, StateComplete))
	if err := w.bucket.Put(t.Context(), "demo/web/locks/"+strings.Repeat("0f", 32), []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	v, err := w.Verify(t.Context(), "", repository.CheckOptions{})
	if err != nil || v.OK() || !v.OnlyLocks() {
		t.Errorf("a damaged lock: %+v, %v", v, err)
	}
	if err := w.bucket.Delete(t.Context(), "demo/web/snapshots/"+r.Volumes[0].RepositorySnapshot); err != nil {
		t.Fatal(err)
	}
	v, err = w.Verify(t.Context(), "", repository.CheckOptions{})
	if err != nil || v.OK() || v.OnlyLocks() || len(v.Points) != 1 || len(v.Points[0].Problems) != 1 {
		t.Errorf("a damaged lock, and a volume that is missing: %+v, %v", v, err)
	}
}

// TestVerifyCallsNoOutageDamage makes the bucket go away at each operation: that is an error, and never a bad verdict,
// which would make people repair what is whole.
func TestVerifyCallsNoOutageDamage(t *testing.T) {
	w := newWorld(t)
	id := w.commit(t, w.record(t, "0001", started, StateComplete)).ID
	verify := func(ref string, at int) (*storagetest.Faulty, Verification, error) {
		faulty := storagetest.NewFaulty(w.bucket, storagetest.Fault{At: at, Stop: true, Err: storage.ErrUnreachable})
		c, err := Open(t.Context(), faulty, "demo", "web", Password("root", "demo", "web"))
		if err != nil {
			return faulty, Verification{}, err
		}
		v, err := c.Verify(t.Context(), ref, repository.CheckOptions{ReadData: 1})
		return faulty, v, err
	}
	for _, ref := range []string{"", string(id)} {
		counting, v, err := verify(ref, 0)
		operations := len(counting.Operations())
		if err != nil || !v.OK() || operations < 10 {
			t.Fatalf("ref %q: %+v, %v after %d operations", ref, v, err, operations)
		}
		for at := 1; at <= operations; at++ {
			faulty, v, err := verify(ref, at)
			if !faulty.Fired() || !errors.Is(err, storage.ErrUnreachable) {
				t.Errorf("ref %q, operation %d of %d: fired %t, %+v, %v", ref, at, operations, faulty.Fired(), v, err)
			}
		}
	}
}

// TestVerifyNamesDamagedVolumes damages all trees of the volumes: verify names them by their claims.
func TestVerifyNamesDamagedVolumes(t *testing.T) {
	w := newWorld(t)
	r := w.commit(t, w.record(t, "0001", started, StateComplete))
	packs := names(t, w.bucket, "demo/web/data/")
	for name := range packs {
		data := slices.Clone(read(t, w.bucket, name))
		data[20] ^= 1
		if err := w.bucket.Put(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		again, err := Open(t.Context(), w.bucket, "demo", "web", Password("root", "demo", "web"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := again.Verify(t.Context(), "", repository.CheckOptions{ReadData: 1})
		if err != nil || v.OK() || len(v.Failures) == 0 && (len(v.Points) != 1 || v.Points[0].ID != r.ID || len(v.Points[0].Problems) == 0) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		data[20] ^= 1
		if err := w.bucket.Put(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDataOfAnotherHost has records that name the data of another StatefulSet, and of another claim.
func TestDataOfAnotherHost(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*repository.Snapshot){
		"host":  func(s *repository.Snapshot) { s.Hostname = "demo/other" },
		"claim": func(s *repository.Snapshot) { s.Tags = []string{TagStsbackup, TagClaim + "=www-web-7"} },
	} {
		record := w.record(t, "3fa9", started, StateComplete)
		id, err := repository.ParseID(record.Volumes[0].RepositorySnapshot)
		if err != nil {
			t.Fatal(err)
		}
		snapshot, err := w.Repository().LoadSnapshot(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		change(&snapshot)
		other, _, err := w.Repository().SaveSnapshot(t.Context(), snapshot)
		if err != nil {
			t.Fatal(err)
		}
		record.Version, record.Volumes[0].RepositorySnapshot = RecordVersion, other.String()
		data, err := encodeRecord(record)
		if err != nil {
			t.Fatal(err)
		}
		w.forgeRecord(t, string(record.ID), data, nil)
		if _, err := w.FindVolume(t.Context(), string(record.ID), "www-web-0"); err == nil || !strings.Contains(err.Error(), "belongs to claim") {
			t.Errorf("%s: %v, want an error that says whose the data is", name, err)
		}
		v, err := w.Verify(t.Context(), string(record.ID), repository.CheckOptions{})
		if err != nil || len(v.Points) != 1 || len(v.Points[0].Problems) != 1 || !strings.Contains(v.Points[0].Problems[0], "belongs to claim") {
			t.Errorf("%s: verify: %+v, %v", name, v.Points, err)
		}
		if _, err := w.Forget(t.Context(), string(record.ID)); err != nil {
			t.Fatal(err)
		}
	}
}
