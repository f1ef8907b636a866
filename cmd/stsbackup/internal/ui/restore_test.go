package ui

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/restore"
)

// An undo copies nothing. Its numbers of files, which are all 0, would suggest that the volumes are empty.
func TestUndoneHasNoNumbers(t *testing.T) {
	report := restore.Report{Namespace: "demo", StatefulSet: "web", RecoveryPoint: "20261121T081200Z-3fa9", Kind: restore.KindUndo,
		Volumes: []restore.Restored{{Claim: "www-web-0", Volume: "pv-0"}}}
	var text bytes.Buffer
	if err := WriteRestored(&text, Text, &report); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); !strings.Contains(got, "0        www-web-0  pv-0\n") || strings.Contains(got, "FILES") ||
		strings.Contains(got, "0 B") {
		t.Errorf("an undo says\n%s", got)
	}
	report.Kind = restore.KindRestore
	text.Reset()
	if err := WriteRestored(&text, Text, &report); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); !strings.Contains(got, "FILES") {
		t.Errorf("a restore says\n%s", got)
	}
}

// What discard frees is what this operation has set aside, and not what earlier ones have.
func TestRestoredNamesItsOperation(t *testing.T) {
	for kind, want := range map[restore.Kind]string{
		restore.KindRestore: "\nThe old volumes are kept: ",
		restore.KindUndo:    "\nThe volumes that the undo replaced are kept: ",
	} {
		report := restore.Report{
			Namespace: "demo", StatefulSet: "web", Kind: kind, Operation: "20261121T091500Z-00c0ffee",
			Displaced: []restore.DisplacedVolume{{Claim: "www-web-0", Volume: "pv-0", Free: "free pv-0"}},
		}
		var text bytes.Buffer
		if err := WriteRestored(&text, Text, &report); err != nil {
			t.Fatal(err)
		}
		if got := text.String(); !strings.Contains(got, want) || !strings.Contains(got, "  free pv-0  # was www-web-0\n") ||
			!strings.Contains(got, `"stsbackup discard demo/web --operation 20261121T091500Z-00c0ffee" frees them`) {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

// Until somebody decides about an interrupted restore, its plan says nothing about what comes after that decision.
func TestInterruptedPlanText(t *testing.T) {
	refusal := &cluster.Refusal{Object: "StatefulSet demo/web", Reason: "interrupted", Next: "choose"}
	plan := restore.Plan{
		Kind:          restore.KindRestore,
		Namespace:     "demo",
		StatefulSet:   "web",
		RecoveryPoint: "20261121T081200Z-3fa9",
		Interrupted:   "the restore was interrupted",
		Volumes: []restore.Volume{
			{Claim: "www-web-0", Present: restore.Present{State: restore.PresentBound, Volume: "pv-0"}},
		},
		Refusals: []*cluster.Refusal{refusal},
	}
	var text bytes.Buffer
	if err := WriteRestorePlan(&text, Text, &plan); err != nil {
		t.Fatal(err)
	}
	const want = "demo/web: the restore was interrupted\n\nORDINAL  CLAIM      NOW\n0        www-web-0  pv-0 (kept)\n\n"
	if got := text.String(); got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
	plan.Way, plan.Steps, plan.Refusals = restore.WayKeep, []string{"leave all as it is"}, nil
	text.Reset()
	if err := WriteRestorePlan(&text, Text, &plan); err != nil || strings.Contains(text.String(), "BYTES") ||
		strings.Contains(text.String(), "THEN") {
		t.Errorf("%v; what is kept is shown as\n%s", err, &text)
	}
	plan = restore.Plan{Kind: restore.KindRestore, Namespace: "demo", StatefulSet: "web", Refusals: []*cluster.Refusal{refusal}}
	text.Reset()
	if err := WriteRestorePlan(&text, Text, &plan); err != nil || text.Len() > 0 {
		t.Errorf("%v; a plan of nothing says\n%s", err, &text)
	}
}
