package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// keeper is a shell on 21 November 2026 at noon. It has recovery points of demo/web on that day and the two days
// before, and what an interrupted backup has left.
type keeper struct {
	*shell
	points *catalog.Catalog
	ids    []string
	dead   string
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	s := volumeShell(t)
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return noon }
	bucket, err := local.Open(local.Config{Dir: s.root(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	points, err := catalog.OpenOrCreate(
		t.Context(),
		bucket,
		"demo",
		"web",
		catalog.Password(repository.Secret(s.env["STSBACKUP_PASSWORD"]), "demo", "web"),
	)
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{shell: s, points: points, dead: "20261118T010000Z-dead"}
	k.volume(k.dead, noon.Add(-83*time.Hour))
	for i, begun := range []time.Duration{-52 * time.Hour, -28 * time.Hour, -5 * time.Hour, -4 * time.Hour} {
		k.ids = append(k.ids, k.add(noon.Add(begun), fmt.Sprintf("%04d", i+1)))
	}
	return k
}

// add makes a recovery point with one empty volume.
func (k *keeper) add(begun time.Time, suffix string) string {
	k.t.Helper()
	id := begun.UTC().Format("20060102T150405Z") + "-" + suffix
	err := k.points.Commit(k.ctx, catalog.Record{
		ID:          catalog.RecoveryPointID(id),
		State:       catalog.StateComplete,
		Cluster:     "c",
		Namespace:   "demo",
		StatefulSet: "web",
		Started:     begun,
		Finished:    begun.Add(time.Minute),
		Replicas:    1,
		Volumes:     []catalog.Volume{{Claim: "www-web-0", Capture: catalog.CaptureLive, Cut: begun, RepositorySnapshot: k.volume(id, begun)}},
	}, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return id
}

// volume saves an empty volume as part of a recovery point.
func (k *keeper) volume(id string, begun time.Time) string {
	k.t.Helper()
	writer, err := k.points.Repository().NewWriter(k.ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	tree, err := writer.SaveBlob(k.ctx, repository.TreeBlob, new(treeblob.Encoder).Bytes())
	if err == nil {
		err = writer.Flush()
	}
	if err != nil {
		k.t.Fatal(err)
	}
	saved, _, err := k.points.Repository().SaveSnapshot(k.ctx, repository.Snapshot{
		Time: begun, Tree: &tree, Paths: []string{"/www-web-0"}, Hostname: "demo/web",
		Tags: []string{catalog.TagStsbackup, catalog.TagClaim + "=www-web-0", catalog.TagRecoveryPoint + "=" + id},
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return saved.String()
}

// left returns the ids of the recovery points that still exist.
func (k *keeper) left() []string {
	k.t.Helper()
	points, err := k.points.Points(k.ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	var ids []string
	for _, point := range points {
		ids = append(ids, string(point.ID))
	}
	return ids
}

func TestForgetKeep(t *testing.T) {
	s := newKeeper(t)
	all := files(t, filepath.Join(s.root(), "demo/web"))

	out := s.run(0, "forget", "demo/web", "--keep-daily", "2", "--dry-run")
	want := [][]string{
		{"demo/web", s.ids[3], "complete", "4h00m", "keep", "newest complete, daily 2026-11-21"},
		{"demo/web", s.ids[2], "complete", "5h00m", "remove", "no rule keeps it"},
		{"demo/web", s.ids[1], "complete", "28h00m", "keep", "daily 2026-11-20"},
		{"demo/web", s.ids[0], "complete", "52h00m", "remove", "no rule keeps it"},
		{"demo/web", s.dead, "unrecorded", "83h00m", "remove", "unrecorded for more than 24 hours"},
	}
	var got [][]string
	for line := range strings.Lines(out) {
		got = append(got, regexp.MustCompile(`  +`).Split(strings.TrimSpace(line), -1))
	}
	if diff := cmp.Diff(want, got[1:]); diff != "" || strings.Join(got[0], "|") != "STATEFULSET|RECOVERY POINT|STATE|AGE|VERDICT|REASONS" {
		t.Errorf("dry run (-want +got):\n%s\n%s", diff, out)
	}
	s.says("dry run")
	if diff := cmp.Diff(all, files(t, filepath.Join(s.root(), "demo/web"))); diff != "" {
		t.Error("a dry run changed the repository")
	}

	var results []ui.Kept
	decode(t, s.run(0, "forget", "demo/web", "--keep-daily", "2", "-o", "json"), &results)
	if len(results) != 1 || len(results[0].Points) != 5 || len(results[0].Forgotten) != 3 || results[0].DryRun || results[0].Error != "" {
		t.Errorf("%+v", results)
	}
	if diff := cmp.Diff([]string{s.ids[1], s.ids[3]}, s.left()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if left := files(t, filepath.Join(s.root(), "demo/web/snapshots")); len(left) != 4 {
		t.Errorf("%d repository snapshots are left of two recovery points with one volume each", len(left))
	}
	s.run(0, "prune", "demo/web")
	s.run(0, "verify", "demo/web", "--read-data")
	s.run(0, "forget", "demo/web", "--keep-daily", "2")
	s.says("nothing to remove for demo/web")
	if len(s.left()) != 2 {
		t.Error("the second time removed more")
	}
}

func TestForgetKeepUsage(t *testing.T) {
	s := newKeeper(t)
	for _, test := range []struct {
		says string
		args []string
	}{
		{"would keep nothing", []string{"demo/web", "--keep-last", "0"}},
		{"would keep nothing", []string{"demo/web", "--keep-within", "0d", "--keep-time-zone", "Europe/Berlin"}},
		{"would keep nothing", []string{"--all"}},
		{"daily is -7", []string{"demo/web", "--keep-daily", "-7"}},
		{"months or minutes", []string{"demo/web", "--keep-within", "5m"}},
		{"no time zone \"Europe/Bonn\"", []string{"demo/web", "--keep-last", "1", "--keep-time-zone", "Europe/Bonn"}},
		{"say which to forget or what to keep, not both", []string{"demo/web@" + s.ids[0], "--keep-last", "1"}},
		{"and --all exclude each other", []string{"demo/web", "--all", "--keep-last", "1"}},
		{"needs --all or --selector", []string{"demo/web", "-A", "--keep-last", "1"}},
		{"and --selector exclude each other", []string{"demo/web@" + s.ids[0], "--selector", "tier=db"}},
		{"give one of them", []string{"--all", "-A", "-n", "demo", "--keep-last", "1"}},
		{"or what to keep, such as --keep-last 7", []string{"demo/web"}},
		{"name a recovery point to forget", []string{"--keep-last", "1"}},
		{"needs --all or --selector", []string{"-A", "--keep-last", "1"}},
		{"name a recovery point to forget", nil},
	} {
		s.run(exitUsage, append([]string{"forget"}, test.args...)...)
		s.says(test.says)
	}
	if len(s.left()) != len(s.ids)+1 {
		t.Error("what was refused removed something")
	}
}

func TestForgetSeveral(t *testing.T) {
	s := newKeeper(t)
	s.run(exitNotFound, "forget", "demo/db", "demo/web", "--keep-last", "1", "--dry-run")
	s.says("demo/db has no backup here", "Nothing was removed for demo/web")
	var results []ui.Kept
	decode(t, s.run(exitNotFound, "forget", "demo/db", "web", "-n", "demo", "--keep-last", "3", "-o", "json"), &results)
	if len(results) != 2 || results[0].Error == "" || len(results[1].Forgotten) != 2 || len(s.left()) != 3 {
		t.Errorf("%+v", results)
	}
	s.run(exitNotFound, "forget", "--keep-last", "2", "-o", "json", "--all", "-n", "other")
	for _, test := range []struct {
		found, removed int
		args           []string
	}{
		{1, 1, []string{"--all", "-n", "demo"}},
		{1, 0, []string{"--all", "--all-namespaces"}},
	} {
		decode(t, s.run(0, append([]string{"forget", "--keep-last", "2", "-o", "json"}, test.args...)...), &results)
		if len(results) != test.found || test.found > 0 && len(results[0].Forgotten) != test.removed {
			t.Errorf("%v: %+v", test.args, results)
		}
	}
	if diff := cmp.Diff(s.ids[2:], s.left()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// TestForgetSelected forgets only recovery points of StatefulSets that have the labels and a repository.
func TestForgetSelected(t *testing.T) {
	s := newKeeper(t)
	cluster := s.cluster()
	for _, test := range []struct {
		code, found int
		says        string
		selector    []string
	}{
		{exitNotFound, 0, "demo/cache is skipped: it has never been backed up here", []string{"-l", "tier=cache", "-n", "demo"}},
		{exitNotFound, 0, "none of the 3 StatefulSets in the cluster has the labels", []string{"-l", "tier=web", "-A"}},
		{exitDone, 1, "", []string{"-l", "tier=web", "-n", "demo"}},
	} {
		if test.found > 0 {
			cluster = s.cluster(
				appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web", Labels: map[string]string{"tier": "web"}}},
			)
		}
		out := s.run(test.code, append([]string{"forget", "--keep-last", "1", "-o", "json", "--kubeconfig", cluster}, test.selector...)...)
		s.says(test.says)
		if left := len(s.left()); left != 5-4*test.found || test.code == exitDone && len(documents[[]ui.Kept](t, out)[0]) != test.found {
			t.Errorf("%v: %d recovery points left; %s", test.selector, left, out)
		}
	}
}

// TestForgetNamedDryRun: a dry run removes nothing.
func TestForgetNamedDryRun(t *testing.T) {
	s := newKeeper(t)
	if out := s.run(0, "forget", "demo/web@"+s.ids[0], "demo/web@20261118", "--dry-run"); !strings.Contains(
		out,
		"would forget recovery point "+s.ids[0]+" of demo/web (1 volumes)",
	) ||
		!strings.Contains(out, "would forget what was left of recovery point "+s.dead) {
		t.Error(out)
	}
	s.run(exitNotFound, "forget", "demo/web@2020", "--dry-run")
	if len(s.left()) != len(s.ids)+1 {
		t.Error("a dry run removed something")
	}
}

// TestForgetKeepDamaged: forget keeps what it cannot read, says so, and removes the others.
func TestForgetKeepDamaged(t *testing.T) {
	s := newKeeper(t)
	before := files(t, filepath.Join(s.root(), "demo/web/snapshots"))
	s.add(s.now().Add(-time.Hour), "0009")
	for name := range files(t, filepath.Join(s.root(), "demo/web/snapshots")) {
		if _, old := before[name]; !old {
			if err := os.WriteFile(filepath.Join(s.root(), "demo/web/snapshots", name), []byte("damaged"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.run(exitFailed, "forget", "demo/web", "--keep-last", "1")
	s.says("some recovery points could not be read and were kept", "stsbackup verify demo/web", "Removed 3 recovery points")
}
