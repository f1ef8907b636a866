package catalog

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/repository"
)

func TestPoints(t *testing.T) {
	w := newWorld(t)
	first := w.commit(t, w.record(t, "0001", started, StateComplete))
	second := w.commit(t, w.record(t, "0002", started.Add(time.Hour), StateIncomplete))
	running := started.Add(30 * time.Hour)
	w.saveVolume(t, "www-web-0", "20261121T101200Z-dead", started.Add(2*time.Hour))
	w.saveVolume(t, "www-web-1", "20261121T101200Z-dead", running)
	w.saveVolume(t, "www-web-0", "by-hand", running)
	w.saveVolume(t, "www-web-0", "", started) // outside of any recovery point

	want := []Point{
		{ID: first.ID, State: StateComplete, Started: started, Touched: started.Add(time.Minute), Recorded: true, Volumes: 1},
		{
			ID:       second.ID,
			State:    StateIncomplete,
			Started:  started.Add(time.Hour),
			Touched:  started.Add(time.Hour + time.Minute),
			Recorded: true,
			Volumes:  1,
		},
		{ID: "20261121T101200Z-dead", State: StateUnrecorded, Started: started.Add(2 * time.Hour), Touched: running, Volumes: 2},
		{ID: "by-hand", State: StateUnrecorded, Touched: running, Volumes: 1},
	}
	got, err := w.Points(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestPointsOfADamagedRecord tells a recovery point with an unreadable record from one without a record.
func TestPointsOfADamagedRecord(t *testing.T) {
	w := newWorld(t)
	r := w.commit(t, w.record(t, "0001", started, StateComplete))
	for name := range names(t, w.bucket, "demo/web/data/") {
		w.damage(t, name)
	}
	points, err := w.Points(t.Context())
	if err == nil || len(points) != 1 || points[0].ID != r.ID || points[0].State != StateUnreadable {
		t.Errorf("%+v, %v", points, err)
	}
}

// TestPointsWithAnUnreadableRepositorySnapshot: any volumes without a record may belong to the lost record.
func TestPointsWithAnUnreadableRepositorySnapshot(t *testing.T) {
	w := newWorld(t)
	kept := w.commit(t, w.record(t, "0002", started.Add(time.Hour), StateComplete))
	before := names(t, w.bucket, "demo/web/snapshots/")
	r := w.record(t, "0001", started, StateComplete)
	volumes := names(t, w.bucket, "demo/web/snapshots/")
	w.commit(t, r)
	for name := range names(t, w.bucket, "demo/web/snapshots/") {
		if !before[name] && !volumes[name] {
			w.damage(t, name) // the record's
		}
	}
	points, err := w.Points(t.Context())
	if err == nil || len(points) != 2 || points[0].ID != r.ID || points[0].State != StateUnreadable || points[1].State != StateComplete {
		t.Errorf("%+v, %v", points, err)
	}
	got, err := w.ForgetChosen(t.Context(), func(points []Point) []RecoveryPointID { return []RecoveryPointID{points[1].ID} })
	if err != nil || len(got) != 1 || got[0].ID != kept.ID {
		t.Errorf("forget the readable one: %+v, %v", got, err)
	}
}

// TestForgetChosen: nothing can change between the choice and the removal.
func TestForgetChosen(t *testing.T) {
	w := newWorld(t)
	first := w.commit(t, w.record(t, "0001", started, StateComplete))
	late := w.record(t, "0002", started.Add(time.Hour), StateComplete)
	got, err := w.ForgetChosen(t.Context(), func(points []Point) []RecoveryPointID {
		if len(points) != 2 || points[0].State != StateComplete || points[1].State != StateUnrecorded {
			t.Errorf("given %+v", points)
		}
		if err := w.Commit(t.Context(), late, nil); !errors.Is(err, repository.ErrLocked) {
			t.Errorf("commit meanwhile: %v", err)
		}
		return []RecoveryPointID{points[0].ID}
	})
	if diff := cmp.Diff([]Forgotten{{ID: first.ID, Recorded: true, Volumes: 1}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := w.ForgetChosen(
		t.Context(),
		func([]Point) []RecoveryPointID { return []RecoveryPointID{"20300101T000000Z-0000"} },
	); !errors.Is(err, ErrNoRecoveryPoint) {
		t.Errorf("one that is not there: %v", err)
	}
	if got, err := w.ForgetChosen(t.Context(), func([]Point) []RecoveryPointID { return nil }); err != nil || len(got) != 0 {
		t.Errorf("nothing chosen: %v, %v", got, err)
	}
	if left := names(t, w.bucket, "demo/web/locks/"); len(left) != 0 {
		t.Errorf("locks are left: %v", left)
	}
}

// TestForgetChosenWithoutIndex chooses nothing if it cannot tell what there is.
func TestForgetChosenWithoutIndex(t *testing.T) {
	w := newWorld(t)
	w.commit(t, w.record(t, "0001", started, StateComplete))
	for name := range names(t, w.bucket, "demo/web/index/") {
		w.damage(t, name)
	}
	chosen := false
	_, err := w.ForgetChosen(t.Context(), func(points []Point) []RecoveryPointID {
		chosen = slices.ContainsFunc(points, func(p Point) bool { return p.State != StateUnreadable })
		return nil
	})
	if err == nil || chosen {
		t.Errorf("%v; chosen from what is not known: %t", err, chosen)
	}
}

// damage overwrites an object.
func (w world) damage(t *testing.T, name string) {
	t.Helper()
	if err := w.bucket.Put(t.Context(), name, []byte("damaged")); err != nil {
		t.Fatal(err)
	}
}
