package ui

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

const (
	newer = "20261121T080000Z-0002"
	older = "20261120T080000Z-0001"
)

// web is the StatefulSet that the tests use.
func web() catalog.Name { return catalog.Name{Namespace: "demo", StatefulSet: "web"} }

// says compares the output with the wanted output.
func says(t *testing.T, what string, out *bytes.Buffer, want string) {
	t.Helper()
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
	out.Reset()
}

func TestWriteKept(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	decided := Kept{KeepResult: upkeep.KeepResult{Namespace: "demo", StatefulSet: "web", Points: []upkeep.KeepDecision{
		{ID: newer, State: retention.Complete, Time: now.Add(-4 * time.Hour), Keep: true, Reasons: []string{"newest complete", "last 1"}},
		{ID: "evil\x1b", State: retention.Unreadable, Reasons: []string{"no rule keeps it"}},
	}}}
	planned, done, failed := decided, decided, decided
	planned.DryRun = true
	done.Points, done.StatefulSet, done.Forgotten = nil, "db", []catalog.Forgotten{{ID: older}}
	failed.Points, failed.Error = nil, "disk on fire"
	nothing := Kept{KeepResult: upkeep.KeepResult{Namespace: "demo", StatefulSet: "cache"}}

	var out, notes bytes.Buffer
	if err := WriteKept(&out, &notes, Text, []Kept{planned, done, failed, nothing}, now); err != nil {
		t.Fatal(err)
	}
	says(t, "the decisions", &out, `STATEFULSET  RECOVERY POINT         STATE       AGE    VERDICT  REASONS
demo/web     20261121T080000Z-0002  complete    4h00m  keep     newest complete, last 1
demo/web     "evil\x1b"             unreadable  -      remove   no rule keeps it
`)
	says(t, "what was done", &notes, `Nothing was removed for demo/web: this was a dry run.
Removed 1 recovery points of demo/db; "stsbackup prune demo/db" frees what only they needed.
There was nothing to remove for demo/cache.
`)
	if err := WriteKept(&out, &notes, JSON, nil, now); err != nil || notes.Len() > 0 {
		t.Errorf("%v, %s", err, &notes)
	}
	says(t, "none as JSON", &out, "[]\n")
	if err := WriteKept(&out, &notes, JSON, []Kept{failed}, now); err != nil || !strings.Contains(out.String(), `"error": "disk on fire"`) ||
		!strings.Contains(out.String(), `"statefulSet": "web"`) {
		t.Errorf("%v, %s", err, &out)
	}
}

func TestWriteForgotten(t *testing.T) {
	t.Parallel()
	forgotten := []catalog.Forgotten{{ID: newer, Recorded: true, Volumes: 2}, {ID: older, Volumes: 1}}
	var out bytes.Buffer
	for _, dryRun := range []bool{false, true} {
		if err := WriteForgotten(&out, Text, web(), forgotten, dryRun); err != nil {
			t.Fatal(err)
		}
	}
	says(t, "done and to do", &out, `forgot recovery point 20261121T080000Z-0002 of demo/web (2 volumes)
forgot what was left of recovery point 20261120T080000Z-0001 of demo/web (1 volumes)
would forget recovery point 20261121T080000Z-0002 of demo/web (2 volumes)
would forget what was left of recovery point 20261120T080000Z-0001 of demo/web (1 volumes)
`)
	if err := WriteForgotten(&out, JSON, web(), nil, false); err != nil || out.Len() > 0 {
		t.Errorf("where it failed there is nothing to print: %v, %s", err, &out)
	}
	for _, question := range []upkeep.Question{
		{Forgotten: forgotten[:1], Known: true, Left: 3}, {Known: true, Last: true}, {Last: true},
	} {
		question.StatefulSet = web()
		WriteForgetQuestion(&out, question)
	}
	says(t, "questions", &out, `To forget: recovery point 20261121T080000Z-0002 of demo/web (2 volumes)
3 complete recovery points of demo/web would be left.
No complete recovery point of demo/web would be left to restore from.
stsbackup cannot read the recovery points of demo/web, so it does not know what would be left.
`)
}

func TestWritePruned(t *testing.T) {
	t.Parallel()
	r := upkeep.PruneResult{
		Namespace:   "demo",
		StatefulSet: "web",
		Leftovers:   []catalog.RecoveryPointID{older},
		PruneReport: repository.PruneReport{
			DryRun: true, PacksRemoved: 1, PacksUnindexed: 2, PacksRepacked: 3, PacksMerged: 4, PacksKept: 5, BytesRemoved: 3 << 20,
			BytesRewritten: 1 << 20, BytesNeeded: 4 << 20, BytesUnused: 5 << 20, Snapshots: 6,
		},
	}
	var out, notes bytes.Buffer
	WritePruned(&out, &notes, &r)
	says(t, "what would be done", &out, `10 packs (3 MiB) would be removed: 1 that nothing needs, 2 that no index names, `+
		`3 rewritten without unneeded data, 4 small ones merged
1 MiB would be rewritten; freed in all: 2 MiB
6 repository snapshots need 4 MiB; 5 MiB of unneeded data stays in 5 packs
`)
	says(t, "what is left to do", &notes, "Kept: the volumes of "+older+", which has no record. Unless its backup is running, "+
		"free them with: stsbackup forget demo/web@"+older+"\n")
}

func TestWriteRepaired(t *testing.T) {
	t.Parallel()
	request := upkeep.RepairRequest{StatefulSet: web()}
	report := repository.RepairReport{
		IndexesDamaged: 1, PacksFound: 2, PacksDamaged: 3, PacksMissing: 4, BlobsSaved: 5, BlobsLost: 6, SnapshotsDamaged: []repository.ID{{}},
	}
	var out, notes bytes.Buffer
	if err := WriteRepaired(&out, &notes, Text, request, report); err != nil {
		t.Fatal(err)
	}
	says(t, "done", &out, `1 index objects are damaged; 2 packs that no index named indexed again
3 packs are damaged, 4 are missing: 5 pieces of them saved into new packs, 6 are lost
repository snapshot `+strings.Repeat("0", 64)+` is damaged: kept; --forget-damaged removes it
`)
	says(t, "next", &notes, "Next: stsbackup backup demo/web, then stsbackup verify demo/web, and forget what is still damaged.\n")
	request.ForgetDamaged, report.DryRun, report.BlobsLost = true, true, 0
	if err := WriteRepaired(&out, &notes, Text, request, report); err != nil || notes.Len() > 0 ||
		!strings.Contains(out.String(), "0 is damaged: would be removed") || !strings.Contains(out.String(), "would be indexed again") {
		t.Errorf("%v, %s%s", err, &out, &notes)
	}
}

func TestWriteUnlocked(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := WriteUnlocked(&out, Text, upkeep.UnlockResult{}); err != nil {
		t.Fatal(err)
	}
	says(t, "none", &out, "There are no locks.\n")
	removed, left := repository.Holder{Damage: "its MAC is wrong"}, repository.Holder{Damage: "it is\x1b empty"}
	if err := WriteUnlocked(&out, Text, upkeep.UnlockResult{
		Removed: []repository.Holder{removed}, Left: []repository.Holder{left},
	}); err != nil {
		t.Fatal(err)
	}
	says(t, "two", &out, `removed: someone unknown: its MAC is wrong
kept, because its holder may be alive: "someone unknown: it is\x1b empty"
`)
}

func TestWriteKeys(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	err := WriteKeys(&out, Text, []repository.KeyInfo{
		{Created: made, Hostname: "ops-1", Username: "root", InUse: true}, {Hostname: "evil\x1b"}, {Damage: "it is empty"},
	})
	if err != nil {
		t.Fatal(err)
	}
	says(t, "keys", &out, `KEY       CREATED               HOST        USER  STATE
00000000  2026-11-21T08:00:00Z  ops-1       root  in use
00000000  -                     "evil\x1b"        -
00000000  -                                       damaged: it is empty
`)
	for _, output := range []Format{Text, JSON} {
		if err := WriteKey(&out, output, "added", repository.ID{}); err != nil {
			t.Fatal(err)
		}
		if err := WritePassword(&out, output, web(), "secret"); err != nil {
			t.Fatal(err)
		}
	}
	says(t, "one key, and a password", &out, "added key 00000000\nsecret\n{\n  \"added\": \""+strings.Repeat("0", 64)+
		"\"\n}\n{\n  \"password\": \"secret\",\n  \"statefulSet\": \"demo/web\"\n}\n")
}

// TestWriteVerification: the output says everything once, and keeps damage apart from the rest.
func TestWriteVerification(t *testing.T) {
	t.Parallel()
	pack := strings.Repeat("0f", 32)
	v := catalog.Verification{
		Points: []catalog.PointVerification{
			{ID: older, State: catalog.StateComplete, Volumes: 2},
			{ID: newer, State: catalog.StateComplete, Volumes: 1, Problems: []string{"claim www-web-0: evil\x1b"}},
		},
		Failures: []string{"repository snapshot in snapshots/" + pack + ": it is empty", "recovery point 2026 of demo/web"},
		Repository: repository.CheckReport{
			Snapshots: 1, Trees: 2, Blobs: 3, Packs: 4, PacksRead: 1, BytesRead: 1 << 20, Spare: 5, Unindexed: 6, MoreProblems: 7,
			Problems: []repository.Problem{{Object: "snapshots/" + pack, Reason: "read snapshots/" + pack + " in file:///x: it is empty"}},
		},
	}
	var out bytes.Buffer
	if err := WriteVerification(&out, v); err != nil {
		t.Fatal(err)
	}
	says(t, "damage", &out, `RECOVERY POINT         STATE     VOLUMES  VERDICT
20261120T080000Z-0001  complete  2        ok
20261121T080000Z-0002  complete  1        DAMAGED
damaged: 20261121T080000Z-0002: claim www-web-0: evil\x1b
damaged: recovery point 2026 of demo/web
damaged: snapshots/`+pack+`: read snapshots/`+pack+` in file:///x: it is empty
damaged: 7 more objects
1 repository snapshots, 2 directories and 3 pieces of files looked up in 4 packs; 1 packs (1 MiB) read whole
5 packs are missing, but other packs hold every piece of them: nothing is lost; prune removes them from the index
6 packs are in no index: a running backup has written them, or an interrupted one left them
`)
	for text, want := range map[string]string{
		"read data/" + pack + ": get demo/" + pack + " in memory: gone": "read data/" + pack + ": gone",
		"get demo/" + pack + " in memory: gone":                         "get demo/" + pack + " in memory: gone",
	} {
		if got := saidOnce(text); got != want {
			t.Errorf("%s: said as %s", text, got)
		}
	}
}
