package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/scheduler/service"
)

func TestWritePolicies(t *testing.T) {
	at := time.Date(2026, 11, 22, 2, 30, 0, 0, time.UTC)
	checked := service.Checked{
		Policies: []service.PolicyUse{{Name: "gold", StatefulSets: 3}, {Name: "idle"}},
		StatefulSets: []service.AssignedStatefulSet{
			{Namespace: "dev", StatefulSet: "cache", Policy: "gold", Annotated: true, Suspended: true, Nothing: "it has no volumeClaimTemplates"},
			{Namespace: "dev", StatefulSet: "web"},
			{Namespace: "prod", StatefulSet: "off", Annotated: true},
			{Namespace: "prod", StatefulSet: "pg", Policy: "gold", AlsoSelectedBy: []string{"rest"}, NextRuns: []time.Time{at, at.Add(time.Hour)}},
			{Namespace: "prod", StatefulSet: "typo", Annotated: true, Problem: "there is no policy \x1b[1mgould"},
		},
	}
	var out, notes strings.Builder
	if err := WritePolicies(&out, &notes, Text, checked); err != nil {
		t.Fatal(err)
	}
	want := `STATEFULSET  POLICY  NEXT RUNS                                  NOTES
dev/cache    gold    -                                          by its annotation; ` +
		`nothing to back up: it has no volumeClaimTemplates; suspended
dev/web      -       -                                          no policy selects it
prod/off     -       -                                          by its annotation
prod/pg      gold    2026-11-22T02:30:00Z 2026-11-22T03:30:00Z  also selected by rest: the first in the file decides
prod/typo    -       -                                          PROBLEM: there is no policy \x1b[1mgould
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := notes.String(); got != "Policy idle applies to none of these StatefulSets.\n" {
		t.Errorf("notes: %q", got)
	}
	out.Reset()
	notes.Reset()
	if err := WritePolicies(&out, &notes, JSON, checked); err != nil || notes.Len() > 0 ||
		!strings.Contains(out.String(), `"statefulSet": "pg"`) {
		t.Errorf("%v, %s, %s", err, &out, &notes)
	}
	out.Reset()
	if err := WritePolicies(&out, &notes, Text, service.Checked{}); err != nil || out.Len() > 0 ||
		notes.String() != "There are no StatefulSets.\n" {
		t.Errorf("%v, %s, %s", err, &out, &notes)
	}
}
