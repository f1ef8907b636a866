package restore

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// To resume a restore, one may leave out its recovery point; a different one is refused.
func TestRequestToResume(t *testing.T) {
	t.Parallel()
	journal := &Journal{Kind: KindUndo, RecoveryPoint: "20261121T081200Z-3fa9"}
	for _, ref := range []string{"", "20261121T08", journal.RecoveryPoint} {
		r := Request{Namespace: ns, StatefulSet: "web", RecoveryPoint: ref, PlanOptions: PlanOptions{Kind: KindRestore}}
		if err := r.resume(journal); err != nil || r.RecoveryPoint != journal.RecoveryPoint || r.Kind != KindUndo {
			t.Errorf("to resume %q: %v; it is %s of %s", ref, err, r.Kind, r.RecoveryPoint)
		}
	}
	r := Request{Namespace: ns, StatefulSet: "web", RecoveryPoint: "2026-11-21T08:00:00Z"}
	var refusal *cluster.Refusal
	if err := r.resume(journal); !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, journal.RecoveryPoint) ||
		!strings.Contains(refusal.Next, "stsbackup undo demo/web") {
		t.Errorf("to resume another recovery point: %v", err)
	}
}

// Propose asks a repository only if there is something to restore from, so an undo needs none.
func TestProposeAsksForWhatItNeeds(t *testing.T) {
	t.Parallel()
	asked := []string{}
	find := func(_ context.Context, ref string) (catalog.Record, error) {
		asked = append(asked, ref)
		return newRecord(), nil
	}
	w := start{class: "fast"}.world(t)
	propose := func(name, ref string, options PlanOptions, find Find) (Plan, catalog.Record, error) {
		asked = nil
		return Propose(t.Context(), w.client(), find, Request{Namespace: ns, StatefulSet: name, RecoveryPoint: ref, PlanOptions: options})
	}
	plan, record, err := propose("web", "2026", PlanOptions{Kind: KindRestore}, find)
	if err != nil || len(asked) != 1 || asked[0] != "2026" || record.ID != newRecord().ID || plan.RecoveryPoint != string(record.ID) {
		t.Errorf("a restore asked for %q, of %q it plans %q: %v", asked, record.ID, plan.RecoveryPoint, err)
	}
	for what, options := range map[string]PlanOptions{"undo": {Kind: KindUndo}, "keep": {Interrupted: WayKeep}} {
		if plan, record, err := propose("web", "", options, nil); err != nil || record.ID != "" || plan.StatefulSet != "web" {
			t.Errorf("%s: of %q it plans for %q: %v", what, record.ID, plan.StatefulSet, err)
		}
	}
	if _, _, err := propose("web", "", PlanOptions{Kind: KindRestore, Interrupted: WayResume}, find); !errors.Is(err, cluster.ErrNotFound) ||
		len(asked) > 0 {
		t.Errorf("to resume what was not interrupted asked for %q: %v", asked, err)
	}
	if _, _, err := propose("gone", "", PlanOptions{Kind: KindRestore}, find); !errors.Is(err, cluster.ErrNotFound) ||
		!strings.Contains(err.Error(), "make it again first, with 0 replicas") {
		t.Errorf("the StatefulSet is gone: %v", err)
	}
	broken := errors.New("broken")
	if _, _, err := propose("web", "", PlanOptions{Kind: KindRestore}, func(context.Context, string) (catalog.Record, error) {
		return catalog.Record{}, broken
	}); !errors.Is(err, broken) {
		t.Errorf("the recovery point cannot be read: %v", err)
	}
}
