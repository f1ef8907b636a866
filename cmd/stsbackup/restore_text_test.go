package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/restore"
)

// An undo copies nothing: numbers of files, which are all 0, would say that the volumes are empty.
func TestUndoneHasNoNumbers(t *testing.T) {
	report := restore.Report{Namespace: "demo", StatefulSet: "web", RecoveryPoint: "20261121T081200Z-3fa9", Kind: restore.KindUndo,
		Volumes: []restore.Restored{{Claim: "www-web-0", Volume: "pv-0"}}}
	var text bytes.Buffer
	if err := printRestored(&text, outputText, &report); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); !strings.Contains(got, "0        www-web-0  pv-0\n") || strings.Contains(got, "FILES") ||
		strings.Contains(got, "0 B") {
		t.Errorf("an undo says\n%s", got)
	}
	report.Kind = restore.KindRestore
	text.Reset()
	if err := printRestored(&text, outputText, &report); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); !strings.Contains(got, "FILES") {
		t.Errorf("a restore says\n%s", got)
	}
}

// As long as nobody has said what becomes of an interrupted restore, its plan has nothing to say of what comes then.
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
	if err := printRestorePlan(&text, outputText, &plan); err != nil {
		t.Fatal(err)
	}
	const want = "demo/web: the restore was interrupted\n\nORDINAL  CLAIM      NOW\n0        www-web-0  pv-0 (kept)\n\n"
	if got := text.String(); got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
	plan.Way, plan.Steps, plan.Refusals = restore.WayKeep, []string{"leave all as it is"}, nil
	text.Reset()
	if err := printRestorePlan(
		&text,
		outputText,
		&plan,
	); err != nil || strings.Contains(text.String(), "BYTES") ||
		strings.Contains(text.String(), "THEN") {
		t.Errorf("%v; what is kept is shown as\n%s", err, &text)
	}
	plan = restore.Plan{Kind: restore.KindRestore, Namespace: "demo", StatefulSet: "web", Refusals: []*cluster.Refusal{refusal}}
	text.Reset()
	if err := printRestorePlan(&text, outputText, &plan); err != nil || text.Len() > 0 {
		t.Errorf("%v; a plan of nothing says\n%s", err, &text)
	}
}

// Whoever gives no answer wants to know that nothing was changed.
func TestNoAnswer(t *testing.T) {
	for _, in := range []string{"", "y\n", "Yes\n", "\n"} {
		a := &app{in: strings.NewReader(in), err: new(bytes.Buffer)}
		err := agree(t.Context(), a, outputText, false, &restore.Plan{Kind: restore.KindUndo})
		if err == nil || !strings.HasPrefix(err.Error(), "nothing was changed, because") {
			t.Errorf("the answer %q: %v", in, err)
		}
	}
}

func TestTakeBack(t *testing.T) {
	report := &restore.Report{Namespace: "demo", StatefulSet: "web", Displaced: []restore.DisplacedVolume{{Claim: "www-web-0"}}}
	if got := takeBack(restore.ErrNotReady, report).Error(); !strings.Contains(got, `"stsbackup undo demo/web"`) {
		t.Errorf("pods that are not Ready: %s", got)
	}
	if other := errors.New(
		"other",
	); !errors.Is(takeBack(other, report), other) || takeBack(other, report).Error() != "other" ||
		takeBack(nil, report) != nil {
		t.Error("what has nothing to do with pods gets the advice too")
	}
	if got := takeBack(restore.ErrNotReady, &restore.Report{}).Error(); strings.Contains(got, "undo") {
		t.Errorf("nothing was set aside: %s", got)
	}
}
