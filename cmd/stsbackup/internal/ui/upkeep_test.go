package ui

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// A person reads what goes and why, and that a dry run has removed nothing; a program reads the same as fields.
func TestWriteKept(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	results := []Kept{
		{KeepResult: upkeep.KeepResult{Namespace: "demo", StatefulSet: "web", DryRun: true, Points: []upkeep.KeepDecision{
			{ID: "20261121T100000Z-0001", State: "complete", Time: noon.Add(-2 * time.Hour), Keep: true, Reasons: []string{"last", "daily"}},
			{ID: "odd\tid", State: "unreadable"},
		}}},
		{KeepResult: upkeep.KeepResult{Namespace: "demo", StatefulSet: "db"}},
		{KeepResult: upkeep.KeepResult{Namespace: "demo", StatefulSet: "broken"}, Error: "no such bucket"},
	}
	var out, notes bytes.Buffer
	if err := WriteKept(&out, &notes, Text, results, noon); err != nil {
		t.Fatal(err)
	}
	want := `STATEFULSET  RECOVERY POINT         STATE       AGE    VERDICT  REASONS
demo/web     20261121T100000Z-0001  complete    2h00m  keep     last, daily
demo/web     "odd\tid"              unreadable  -      remove   
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := notes.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "demo/web: this was a dry run") ||
		!strings.Contains(got, "nothing to remove for demo/db") {
		t.Errorf("the notes are\n%s", got)
	}
	out.Reset()
	if err := WriteKept(&out, &notes, JSON, results, noon); err != nil || !strings.Contains(out.String(), `"error": "no such bucket"`) {
		t.Errorf("%v, as JSON\n%s", err, &out)
	}
}

// Whoever is asked reads what would be left, and above all that it is nothing.
func TestWriteForgetQuestion(t *testing.T) {
	t.Parallel()
	web := catalog.Name{Namespace: "demo", StatefulSet: "web"}
	for says, q := range map[string]upkeep.Question{
		"cannot read":                    {StatefulSet: web, Last: true},
		"No complete recovery point":     {StatefulSet: web, Known: true, Last: true},
		"3 complete recovery points":     {StatefulSet: web, Known: true, Left: 3},
		`of demo/web (2 volumes)` + "\n": {StatefulSet: web, Known: true, Forgotten: []catalog.Forgotten{{ID: "a", Volumes: 2}}},
	} {
		var out bytes.Buffer
		if WriteForgetQuestion(&out, q); !strings.Contains(out.String(), says) {
			t.Errorf("%+v is asked as\n%s", q, &out)
		}
	}
}

// Packs are counted where a person watches, and nowhere else.
func TestPacks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, screen := range []Screen{{Out: &out, Format: Text}, {Out: &out, Format: JSON, Terminal: true}} {
		if screen.Packs() != nil {
			t.Errorf("%+v counts packs", screen)
		}
	}
	screen := Screen{Out: &out, Format: Text, Terminal: true}
	if screen.Packs()(2, 7); out.String() != "\r2 of 7 packs read" {
		t.Errorf("it says %q", &out)
	}
}
