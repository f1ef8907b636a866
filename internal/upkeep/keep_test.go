package upkeep

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

func TestKeep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	request := KeepRequest{StatefulSet: web(), Rules: retention.Rules{Daily: 2}, Zone: time.UTC, DryRun: true}
	planned, err := w.Keep(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	keep := map[string]bool{}
	for _, point := range planned.Points {
		keep[string(point.ID)] = point.Keep
	}
	want := map[string]bool{w.ids[3]: true, w.ids[2]: false, w.ids[1]: true, w.ids[0]: false, w.dead: false}
	if diff := cmp.Diff(want, keep); diff != "" || len(w.left()) != 5 || len(planned.Forgotten) != 0 {
		t.Errorf("dry run: %d left (-want +got):\n%s", len(w.left()), diff)
	}
	request.DryRun = false
	done, err := w.Keep(t.Context(), request)
	if err != nil || len(done.Forgotten) != 3 || len(done.Points) != 5 || !cmp.Equal(w.left(), []string{w.ids[1], w.ids[3]}) {
		t.Errorf("%+v, %v; left %q", done, err, w.left())
	}
	if done, err = w.Keep(t.Context(), request); err != nil || len(done.Forgotten) != 0 || done.Points[0].ID == "" {
		t.Errorf("the second time: %+v, %v", done, err)
	}
}

// TestKeepUnreadable keeps what cannot be read, says so, and removes the others.
func TestKeepUnreadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.names("demo/web/snapshots/")
	w.add(w.Now().Add(-time.Hour), "0009")
	for _, name := range w.names("demo/web/snapshots/") {
		if !strings.Contains(strings.Join(before, " "), name) {
			w.damage(name)
		}
	}
	done, err := w.Keep(t.Context(), KeepRequest{StatefulSet: web(), Rules: retention.Rules{Last: 1}, Zone: time.UTC})
	if err == nil || !strings.Contains(err.Error(), "some recovery points could not be read and were kept") || len(done.Forgotten) == 0 {
		t.Errorf("%+v, %v", done, err)
	}
}

// TestRetentionPoints: each state has its own meaning for retention; an unknown state is kept.
func TestRetentionPoints(t *testing.T) {
	begun := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	var points []catalog.Point
	var want []retention.Point
	for _, tt := range []struct {
		of   catalog.State
		want retention.State
	}{
		{catalog.StateComplete, retention.Complete},
		{catalog.StateIncomplete, retention.Incomplete},
		{catalog.StateUnrecorded, retention.Unrecorded},
		{catalog.StateUnreadable, retention.Unreadable},
		{"of a later version", retention.Unreadable},
	} {
		points = append(
			points,
			catalog.Point{ID: catalog.RecoveryPointID("point-" + string(tt.of)), State: tt.of, Started: begun, Touched: begun.Add(time.Hour)},
		)
		want = append(want, retention.Point{ID: "point-" + string(tt.of), State: tt.want, Time: begun, Touched: begun.Add(time.Hour)})
	}
	if diff := cmp.Diff(want, retentionPoints(points)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
