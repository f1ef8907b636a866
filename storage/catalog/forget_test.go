package catalog

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/repository"
)

func TestForget(t *testing.T) {
	w := newWorld(t)
	first := w.commit(t, w.record(t, "0001", started, StateComplete))
	second := w.commit(t, w.record(t, "0002", started.Add(time.Hour), StateIncomplete))
	w.saveVolume(t, "www-web-0", "20261121T100000Z-dead", started) // its backup was interrupted
	single := w.saveVolume(t, "www-web-0", "", started)
	if left, err := w.Leftovers(t.Context()); err != nil || !slices.Equal(left, []RecoveryPointID{"20261121T100000Z-dead"}) {
		t.Errorf("leftovers: %v, %v", left, err)
	}
	for ref, want := range map[string]error{
		"": ErrNoRecoveryPoint, "latest": ErrNoRecoveryPoint, "2020": ErrNoRecoveryPoint, "20261121": ErrAmbiguous,
	} {
		if _, err := w.Forget(t.Context(), string(first.ID), ref); !errors.Is(err, want) {
			t.Errorf("forget %q: %v, want %v", ref, err, want)
		}
	}
	if n := count(t, w.bucket, "demo/web/snapshots/"); n != 6 {
		t.Fatalf("%d repository snapshots after refusals", n)
	}
	got, err := w.Forget(t.Context(), string(first.ID), "20261121T10")
	if err != nil {
		t.Fatal(err)
	}
	want := []Forgotten{{ID: first.ID, Recorded: true, Volumes: 1}, {ID: "20261121T100000Z-dead", Volumes: 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
	records, err := w.List(t.Context())
	if err != nil || len(records) != 1 || records[0].ID != second.ID || count(t, w.bucket, "demo/web/snapshots/") != 3 {
		t.Errorf("%v, %v", records, err)
	}
	if !names(t, w.bucket, "demo/web/snapshots/")["demo/web/snapshots/"+single] {
		t.Error("what is of no recovery point was forgotten")
	}
	if n := count(t, w.bucket, "demo/web/locks/"); n != 0 {
		t.Errorf("%d locks are left", n)
	}
}

// TestForgetSeveralVolumes leaves nothing of a recovery point with several volumes, and everything of the others.
func TestForgetSeveralVolumes(t *testing.T) {
	w := newWorld(t)
	const interrupted = "20261121T110000Z-dead"
	made := func(suffix string, at time.Time) Record {
		r := w.record(t, suffix, at, StateComplete)
		for i, claim := range []string{"www-web-1", "www-web-2"} {
			r.Volumes = append(r.Volumes, Volume{
				Ordinal: int32(i + 1), Template: "www", Claim: claim, Capture: CaptureSnapshot, Cut: at, Mode: "Filesystem",
				RepositorySnapshot: w.saveVolume(t, claim, string(r.ID), at),
			})
		}
		return w.commit(t, r)
	}
	made("0001", started)
	made("0002", started.Add(time.Hour))
	want := names(t, w.bucket, "demo/web/snapshots/")
	gone := made("0003", started.Add(2*time.Hour))
	for _, claim := range []string{"www-web-0", "www-web-1", "www-web-2"} {
		w.saveVolume(t, claim, interrupted, started.Add(3*time.Hour))
	}
	if n := count(t, w.bucket, "demo/web/snapshots/"); len(want) != 8 || n != 15 {
		t.Fatalf("%d repository snapshots of two recovery points, %d in all", len(want), n)
	}
	forgotten, err := w.Forget(t.Context(), string(gone.ID), interrupted)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Forgotten{{ID: gone.ID, Recorded: true, Volumes: 3}, {ID: interrupted, Volumes: 3}}, forgotten); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, names(t, w.bucket, "demo/web/snapshots/")); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// TestForgetDamagedRecord forgets a recovery point whose record can no longer be read.
func TestForgetDamagedRecord(t *testing.T) {
	w := newWorld(t)
	r := w.commit(t, w.record(t, "0001", started, StateComplete))
	for name := range names(t, w.bucket, "demo/web/data/") {
		if err := w.bucket.Put(t.Context(), name, []byte("damaged")); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.Forget(t.Context(), string(r.ID)); err != nil || len(got) != 1 || !got[0].Recorded {
		t.Errorf("%v, %v", got, err)
	}
	if n := count(t, w.bucket, "demo/web/snapshots/"); n != 0 {
		t.Errorf("%d repository snapshots are left", n)
	}
	if _, err := w.Repository().Prune(t.Context(), repository.PruneOptions{}); err != nil {
		t.Errorf("prune after the damage is forgotten: %v", err)
	}
}
