package operations

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestOnABucket does everything that a scheduler does to a repository.
func TestOnABucket(t *testing.T) {
	w := newWorld(t, "c")
	none := scheduler.Name{Namespace: "demo", StatefulSet: "none"}
	points, err := w.Points(t.Context(), web())
	if err != nil || len(points) != len(w.ids) {
		t.Fatalf("%+v, %v", points, err)
	}
	if last := points[3]; last.ID != w.ids[3] || !last.Complete || !last.Started.Equal(w.Now().Add(-4*time.Hour)) ||
		!last.Finished.After(last.Started) {
		t.Errorf("%+v", last)
	}
	removed, err := w.Forget(t.Context(), web(), retention.Rules{Last: 2}, time.UTC)
	if err != nil || removed != 2 || !slices.Equal(w.left(), w.ids[2:]) {
		t.Errorf("%d removed, %v; left %v", removed, err, w.left())
	}
	before := len(w.packs())
	if err := w.Prune(t.Context(), web()); err != nil || len(w.packs()) >= before {
		t.Errorf("prune: %v; %d packs, there were %d", err, len(w.packs()), before)
	}
	if err := w.Verify(t.Context(), web(), 1); err != nil {
		t.Error(err)
	}
	// A StatefulSet that was never backed up has no recovery points, and that is no failure.
	points, err = w.Points(t.Context(), none)
	removed, forgetErr := w.Forget(t.Context(), none, retention.Rules{Last: 2}, time.UTC)
	if err := errors.Join(err, forgetErr, w.Prune(t.Context(), none), w.Verify(t.Context(), none, 0)); err != nil || len(points)+removed != 0 {
		t.Errorf("of none: %v, %d, %v", points, removed, err)
	}
	// A damaged lock does not damage what has been saved.
	lock := "demo/web/locks/" + strings.Repeat("0f", 32)
	w.put(lock)
	if err := w.Verify(t.Context(), web(), 0); err != nil ||
		!strings.Contains(w.log.String(), `level=WARN msg="a damaged lock" namespace=demo`) {
		t.Errorf("verify beside a damaged lock: %v; said %s", err, &w.log)
	}
	if err := w.bucket.Delete(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
	// Damage makes verify fail.
	for _, name := range w.packs() {
		w.put(name)
	}
	err = w.Verify(t.Context(), web(), 1)
	if !errors.Is(err, scheduler.ErrDamaged) || !strings.Contains(err.Error(), "Run stsbackup repair") {
		t.Errorf("verify of what is damaged: %v", err)
	}
}

// TestOnALockedBucket: the operations say that somebody else is at work.
func TestOnALockedBucket(t *testing.T) {
	w := newWorld(t, "c")
	release := w.lock("ops-1", "")
	_, err := w.Forget(t.Context(), web(), retention.Rules{Last: 2}, time.UTC)
	for what, err := range map[string]error{"forget": err, "prune": w.Prune(t.Context(), web())} {
		if !errors.Is(err, scheduler.ErrBusy) || !strings.Contains(err.Error(), "ops-1") {
			t.Errorf("%s: %v, want ErrBusy and by whom", what, err)
		}
	}
	release()
	if err := w.Prune(t.Context(), web()); err != nil {
		t.Error(err)
	}
	// Once we hold the Lease, the lock of its previous holder belongs to nobody.
	w.lock("scheduler-0", cluster.Operation{ID: "20261121T120000Z-dead"}.LeaseMark("c"))
	if err := w.Prune(t.Context(), web()); err != nil {
		t.Errorf("beside the lock of a dead prune: %v", err)
	}
	w.lock("scheduler-0", cluster.Operation{ID: "20261121T120000Z-dead"}.LeaseMark("another"))
	if err := w.Prune(t.Context(), web()); !errors.Is(err, scheduler.ErrBusy) {
		t.Errorf("beside the lock of another cluster's prune: %v", err)
	}
}

// TestOfAnotherCluster: the operations remove nothing from a repository of another cluster.
func TestOfAnotherCluster(t *testing.T) {
	w := newWorld(t, "another")
	_, err := w.Forget(t.Context(), web(), retention.Rules{Last: 1}, time.UTC)
	for what, err := range map[string]error{"forget": err, "prune": w.Prune(t.Context(), web())} {
		if !errors.Is(err, scheduler.ErrRefused) || !strings.Contains(err.Error(), "came from cluster c, this is cluster another") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !slices.Equal(w.left(), w.ids) {
		t.Errorf("left %v", w.left())
	}
}

// TestForgetInZone: by the days of UTC, two other recovery points would be left.
func TestForgetInZone(t *testing.T) {
	w := newWorld(t, "c")
	// At 7:00 on the 21st it is still the 20th in that zone.
	removed, err := w.Forget(t.Context(), web(), retention.Rules{Daily: 2}, time.FixedZone("west", -8*60*60))
	if err != nil || removed != 2 {
		t.Errorf("%d removed, %v", removed, err)
	}
	if diff := cmp.Diff(w.ids[2:], w.left()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestTranslate(t *testing.T) {
	for want, err := range map[error]error{
		scheduler.ErrBusy:     &cluster.Refusal{Object: "o", Reason: "r", Next: "n", Err: cluster.ErrBusy},
		scheduler.ErrRefused:  &cluster.Refusal{Object: "o", Reason: "r", Next: "n"},
		scheduler.ErrBucket:   fmt.Errorf("list: %w", storage.ErrUnreachable),
		scheduler.ErrPassword: fmt.Errorf("open: %w", repository.ErrWrongPassword),
		scheduler.ErrGone:     errors.Join(errors.New("read"), cluster.ErrNotFound),
	} {
		if got := translate(err); !errors.Is(got, want) || !errors.Is(got, err) {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
	for _, err := range []error{nil, repository.ErrWrongPassword} {
		if got := translate(err); !errors.Is(got, err) || errors.Is(got, scheduler.ErrBusy) || errors.Is(got, scheduler.ErrBucket) {
			t.Errorf("%v: %v", err, got)
		}
	}
}
