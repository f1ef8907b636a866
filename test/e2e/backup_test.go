//go:build e2e

package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/test/harness"
)

// record decodes the recovery point that a run with -o json has printed.
func (s *scenario) record(result harness.Result) catalog.Record {
	s.t.Helper()
	var record catalog.Record
	if err := json.Unmarshal([]byte(result.Stdout), &record); err != nil {
		s.t.Fatalf("decode the recovery point: %v\n%s", err, result)
	}
	return record
}

// saved checks that a recovery point holds each ordinal's own files, as stock restic reads them.
func (s *scenario) saved(record catalog.Record, capture catalog.Capture, claims []string) {
	s.t.Helper()
	var got []string
	for _, volume := range record.Volumes {
		got = append(got, volume.Claim)
		if volume.Capture != capture || volume.Error != "" || volume.ProblemCount != 0 || volume.Cut.IsZero() || volume.Files < 4 ||
			volume.Bytes < 300000 {
			s.t.Errorf("volume %+v: not saved whole by %s", volume, capture)
		}
		pod := strings.TrimPrefix(volume.Claim, volume.Template+"-")
		for file, want := range map[string]string{
			"id": "I am " + pod, "hard": "I am " + pod, "private/key": "secret",
		} {
			if text := s.dump(record.StatefulSet, volume.RepositorySnapshot, volume.Claim+"/"+file); text != want {
				s.t.Errorf("%s of claim %s is %q, want %q", file, volume.Claim, text, want)
			}
		}
	}
	if !slices.Equal(got, claims) {
		s.t.Errorf("volumes %q, want %q in this order", got, claims)
	}
}

// dump reads a file with stock restic.
func (s *scenario) dump(statefulSet, snapshot, file string) string {
	s.t.Helper()
	result, err := s.StockRestic(s.ctx, statefulSet, "dump", snapshot, "/"+file)
	if err != nil || result.Code != 0 {
		s.t.Fatalf("%v\n%s", err, result)
	}
	return strings.TrimSpace(result.Stdout)
}

// nothingBehind is nothingLeft, and also checks objects that have no namespace.
func (s *scenario) nothingBehind() {
	s.t.Helper()
	if left := s.behind(); len(left) > 0 {
		s.t.Fatalf("left of namespace %s: %s", s.Namespace, strings.Join(left, " "))
	}
}

// behind is what stsbackup has left, in the namespace and outside of it: volumes of temporary claims, contents of
// VolumeSnapshots.
func (s *scenario) behind() []string {
	s.t.Helper()
	left, err := s.Leftovers(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	contents := s.kubectl("get", "volumesnapshotcontents", "--output",
		`jsonpath={range .items[*]}{.spec.volumeSnapshotRef.namespace}/{.spec.volumeSnapshotRef.name}{"\n"}{end}`)
	volumes := s.kubectl("get", "persistentvolumes", "--output",
		`jsonpath={range .items[*]}{.spec.claimRef.namespace}/{.spec.claimRef.name}{"\n"}{end}`)
	for line := range strings.Lines(contents + "\n" + volumes) {
		if strings.HasPrefix(line, s.Namespace+"/stsbackup-") {
			left = append(left, strings.TrimSpace(line))
		}
	}
	return left
}

func TestBackupBySnapshot(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "snapshot")
	web := workload{name: "web", replicas: 3, volumes: []string{"- {name: cache, emptyDir: {}}"}}
	s.apply(web.manifest(), "web")

	plan := s.run(
		0,
		[]string{"snapshot", "reflink.csi.test", "data-web-2", "volume cache of the pods (emptyDir)"},
		"backup",
		s.Namespace+"/web",
		"--dry-run",
	)
	if !strings.Contains(plan.Stdout, "data-web-0") {
		t.Errorf("the plan of a dry run is its result, but standard output is %q", plan.Stdout)
	}
	s.run(0, []string{"no recovery points"}, "list")

	result := s.run(0, nil, "backup", s.Namespace+"/web", "-o", "json")
	first := s.record(result)
	s.saved(first, catalog.CaptureSnapshot, web.claims())
	for line := range strings.Lines(result.Stderr) {
		if !json.Valid([]byte(line)) {
			t.Errorf("with -o json, standard error has the line %q", line)
		}
	}
	if first.State != catalog.StateComplete || len(first.LeftOut) != 1 || first.LeftOut[0].What != "volume cache of the pods (emptyDir)" {
		t.Errorf("recovery point %+v", first)
	}
	s.nothingBehind()

	// The recovery point does not contain what the pods write after the cut; a second backup of the same bytes stores
	// almost nothing.
	s.exec("web-1", "echo later > /data/later; sync")
	second := s.record(s.run(0, nil, "backup", "web", "-n", s.Namespace, "-o", "json"))
	if text := s.dump("web", second.Volumes[1].RepositorySnapshot, "data-web-1/later"); text != "later" {
		t.Errorf("the second backup has %q", text)
	}
	if second.Volumes[0].Stored > first.Volumes[0].Stored/10 {
		t.Errorf("unchanged data was stored again: %d bytes, after %d", second.Volumes[0].Stored, first.Volumes[0].Stored)
	}
	s.run(0, []string{string(first.ID), string(second.ID), "complete", "3/3"}, "list", s.Namespace+"/web")
	s.run(0, []string{string("Recovery point " + second.ID), "data-web-2", "NOT in this backup"}, "show", s.Namespace+"/web")
	if shown := s.record(s.run(0, nil, "show", s.Namespace+"/web@"+string(first.ID), "-o", "json")); shown.ID != first.ID {
		t.Errorf("show @%s printed %s", first.ID, shown.ID)
	}
	s.run(4, []string{"no such recovery point", string(second.ID)}, "show", s.Namespace+"/web@2020")

	check, err := s.StockRestic(s.ctx, "web", "check", "--read-data")
	if err != nil || check.Code != 0 {
		t.Errorf("stock restic finds fault: %v\n%s", err, check)
	}
}

func TestBackupLive(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "live")
	s.kubectl("label", "namespace", s.Namespace, "pod-security.kubernetes.io/enforce=baseline")
	db := workload{name: "db", replicas: 3, class: "manual", claim: s.ownVolumes()}
	s.staticVolumes(db.claims()...)
	s.apply(db.manifest(), "db")
	s.run(0, []string{"live", "kubernetes.io/host-path has no VolumeSnapshots"}, "backup", s.Namespace+"/db", "--dry-run")
	s.saved(s.record(s.run(0, nil, "backup", s.Namespace+"/db", "-o", "json")), catalog.CaptureLive, db.claims())
	s.nothingBehind()
	s.run(
		5,
		[]string{"claim " + s.Namespace + "/data-db-0", "kubernetes.io/host-path", "--method live"},
		"backup",
		s.Namespace+"/db",
		"--method",
		"snapshot",
	)
	s.nothingBehind()
}

func TestBackupLiveOfCSIVolumes(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "live-csi")
	s.kubectl("label", "namespace", s.Namespace, "pod-security.kubernetes.io/enforce=baseline")
	web := workload{name: "web", replicas: 2}
	s.apply(web.manifest(), "web")
	s.saved(s.record(s.run(0, nil, "backup", s.Namespace+"/web", "--method", "live", "-o", "json")), catalog.CaptureLive, web.claims())
	s.nothingBehind()
}

func TestBackupLeavesNoRetainedData(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "retain")
	// Both the claims' class and the VolumeSnapshotClass say that the data stays when its object is deleted.
	web := workload{name: "web", replicas: 1, class: "reflink-retain"}
	s.apply(web.manifest(), "web")
	s.saved(
		s.record(s.run(0, nil, "backup", s.Namespace+"/web", "--snapshot-class", "reflink-retain", "-o", "json")),
		catalog.CaptureSnapshot,
		web.claims(),
	)
	s.nothingBehind()
}

func TestBackupCutsLieCloseTogether(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "slow")
	web := workload{name: "web", replicas: 3}
	s.apply(web.manifest(), "web")
	// The driver needs five seconds from the cut to readiness; the next cut must not wait for that.
	record := s.record(s.run(0, nil, "backup", s.Namespace+"/web", "--snapshot-class", "reflink-slow", "-o", "json"))
	s.saved(record, catalog.CaptureSnapshot, web.claims())
	if record.Skew.Seconds() > 8 { // two times five, if they waited
		t.Errorf("%s from the first cut to the last", record.Skew)
	}
	s.nothingBehind()
}

func TestBackupIncomplete(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "incomplete")
	db := workload{name: "db", replicas: 3, class: "manual", claim: s.ownVolumes()}
	s.staticVolumes(db.claims()[:2]...) // none for the third claim
	s.apply(db.manifest())
	for _, pod := range []string{"pod/db-0", "pod/db-1", "pod/db-2"} {
		s.created(pod)
	}
	s.kubectl("wait", "--for=condition=Ready", "pod/db-0", "pod/db-1", "--timeout=180s")

	result := s.run(3, []string{"data-db-2", "not bound"}, "backup", s.Namespace+"/db", "-o", "json")
	record := s.record(result)
	if record.State != catalog.StateIncomplete || len(record.Volumes) != 3 || record.Volumes[2].Error == "" {
		t.Errorf("recovery point %+v", record)
	}
	for _, volume := range record.Volumes[:2] {
		if text := s.dump("db", volume.RepositorySnapshot, volume.Claim+"/private/key"); text != "secret" {
			t.Errorf("claim %s has %q", volume.Claim, text)
		}
	}
	s.run(0, []string{"incomplete", "2/3"}, "list", s.Namespace+"/db")
	s.run(4, []string{string(record.ID)}, "show", s.Namespace+"/db")
	s.run(0, []string{"NOT in this backup", "claim data-db-2"}, "show", s.Namespace+"/db@"+string(record.ID))
	s.nothingBehind()
}
