package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// recovered commits two recovery points of demo/web: a complete, empty one, and an incomplete one.
func recovered(t *testing.T) *shell {
	t.Helper()
	s := volumeShell(t)
	s.run(exitDone, "volume", "backup", site(t), "--as", "demo/web", "--claim", "www-web-0") // this makes the repository
	var saved archive.Result
	decode(t, s.run(exitDone, "volume", "backup", site(t), "--as", "demo/web", "--claim", "www-web-4",
		"--ordinal", "4", "--recovery-point", "20261121T091200Z-0002", "-o", "json"), &saved)
	a := &app{getenv: func(name string) string { return s.env[name] }, now: time.Now}
	store, err := openStore(a, &repoFlags{})
	if err != nil {
		t.Fatal(err)
	}
	web := target{namespace: "demo", statefulSet: "web"}
	points, err := store.Open(t.Context(), web.name())
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Date(2026, 11, 21, 8, 12, 0, 0, time.UTC)
	for _, record := range []catalog.Record{
		{ID: "20261121T081200Z-0001", State: catalog.StateComplete, Replicas: 2},
		{
			ID: "20261121T091200Z-0002", State: catalog.StateIncomplete, Replicas: 2, OrdinalsStart: 3, Skew: 3 * time.Second,
			Volumes: []catalog.Volume{{Ordinal: 3, Template: "www", Claim: "www-web-3", Capture: catalog.CaptureSnapshot, Error: "disk on fire"}, {
				Ordinal: 4, Template: "www", Claim: "www-web-4", Capture: catalog.CaptureLive, RepositorySnapshot: saved.RepositorySnapshot,
				Problems: []string{"secret: permission denied"}, ProblemCount: 3,
				Changes: []string{"log: grew from 3 to 4 bytes", "evil\x1b[2J: vanished"}, ChangeCount: 9,
			}},
			LeftOut: []catalog.LeftOut{{What: "volume cache of the pods (emptyDir)", Why: "it dies with its pod"}},
		},
	} {
		record.Namespace, record.StatefulSet, record.Cluster = "demo", "web", "cluster-uid"
		record.Started, record.Finished = begun, begun.Add(14*time.Second)
		if err := points.Commit(t.Context(), record, nil); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestList(t *testing.T) {
	s := recovered(t)
	for _, args := range [][]string{{"list"}, {"list", "-n", "demo"}, {"list", "demo/web"}, {"list", "web", "-n", "demo"}} {
		out := s.run(exitDone, args...)
		for _, text := range []string{
			"demo/web", "20261121T081200Z-0001", "complete", "0-1", "20261121T091200Z-0002", "incomplete", "3-4", "1/2",
		} {
			if !strings.Contains(out, text) {
				t.Errorf("%q does not show %q:\n%s", args, text, out)
			}
		}
	}
	var records []catalog.Record
	if err := json.Unmarshal([]byte(s.run(exitDone, "list", "-o", "json")), &records); err != nil || len(records) != 2 {
		t.Errorf("list -o json: %d records, %v", len(records), err)
	}
	if out := s.run(exitDone, "list", "-n", "empty", "-o", "json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("list -o json of nothing: %q", out)
	}
	s.run(exitDone, "list", "-n", "empty")
	s.says("no recovery points")
	s.run(exitNotFound, "list", "demo/nothing")
	s.run(exitUsage, "list", "demo/web@latest")
	s.says("stsbackup show demo/web@latest")
	s.env["STSBACKUP_PASSWORD"] = "another"
	s.run(exitFailed, "list")
	s.says("wrong password")
	if text := s.err.String(); strings.Contains(text, "no recovery points") {
		t.Errorf("recovery points that cannot be read are said not to be there: %s", text)
	}
}

func TestShow(t *testing.T) {
	s := recovered(t)
	if out := s.run(exitDone, "show", "demo/web"); !strings.Contains(out, "Recovery point 20261121T081200Z-0001 of demo/web: complete") {
		t.Errorf("the latest complete one is not shown:\n%s", out)
	}
	out := s.run(exitDone, "show", "demo/web@20261121T09")
	for _, text := range []string{
		"incomplete", "took 14s", "3s from the first cut", "www-web-3", "not saved",
		"NOT in this backup", "claim www-web-3: disk on fire", "volume cache of the pods (emptyDir): it dies with its pod",
		"claim www-web-4: secret: permission denied", "claim www-web-4: 2 more entries",
		"Changed while the backup read them", "claim www-web-4: log: grew from 3 to 4 " +
			"bytes", `evil\x1b[2J: vanished`, "claim www-web-4: 7 more files",
	} {
		if !strings.Contains(out, text) {
			t.Errorf("does not show %q:\n%s", text, out)
		}
	}
	var record catalog.Record
	if err := json.Unmarshal([]byte(s.run(exitDone, "show", "demo/web@20261121T091200Z-0002", "-o", "json")), &record); err != nil ||
		record.State != catalog.StateIncomplete {
		t.Errorf("show -o json: %+v, %v", record, err)
	}
	s.run(exitNotFound, "show", "demo/web@20261121")
	s.says("20261121T081200Z-0001", "20261121T091200Z-0002")
	s.run(exitNotFound, "show", "demo/web@2019")
	s.run(exitUsage, "show")
}

func TestBackupUsage(t *testing.T) {
	s := volumeShell(t)
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"backup"}, "name StatefulSets, or choose them"},
		{[]string{"backup", "demo/web@latest"}, "without @latest"},
		{[]string{"backup", "demo/web", "--method", "magic"}, "none of auto, snapshot and live"},
		{[]string{"backup", "demo/web"}, "--mover-repo"}, // this repository is a directory of this machine
		{[]string{"backup", "demo/web", "--everything"}, "unknown flag"},
		{[]string{"backup", "demo/web", "--snapshot-timeout", "0"}, "--snapshot-timeout is 0s"},
		{[]string{"backup", "demo/web", "--snapshot-ready-timeout", "0s"}, "--snapshot-ready-timeout is 0s"},
		{[]string{"backup", "demo/web", "--mover-start-timeout", "-5s"}, "--mover-start-timeout is -5s"},
		{[]string{"restore", "demo/web", "--yes", "--ready-timeout", "0"}, "--ready-timeout is 0s"},
	} {
		s.run(exitUsage, tt.args...)
		s.says(tt.says)
	}
}
