package backup

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository/compress"
)

// TestNote: the record contains what a mover reports about single entries. Changes do not make it incomplete.
func TestNote(t *testing.T) {
	r := testRun(t)
	note(&r.volumes[0].saved, archive.Result{
		RepositorySnapshot: "abc", Files: 3, Bytes: 10, BytesStored: 7, ChangeCount: 12,
		Changes: []archive.Change{{Path: "log", Kind: archive.Grew, Detail: "from 3 to 4 bytes while it was read"}},
	})
	saved := r.volumes[0].saved
	want := []string{"log: grew from 3 to 4 bytes while it was read"}
	if diff := cmp.Diff(want, saved.Changes); diff != "" || saved.ChangeCount != 12 || saved.RepositorySnapshot != "abc" || saved.Stored != 7 {
		t.Errorf("%+v, changes (-want +got):\n%s", saved, diff)
	}
	if record, err := r.record(); err != nil || record.State != catalog.StateComplete {
		t.Errorf("%+v, %v", record, err)
	}
	note(&r.volumes[1].saved, archive.Result{RepositorySnapshot: "def", Problems: []archive.Problem{{Path: "a", Reason: "permission denied"}}})
	saved = r.volumes[1].saved
	if diff := cmp.Diff([]string{"a: permission denied"}, saved.Problems); diff != "" || saved.ProblemCount != 1 {
		t.Errorf("%+v, problems (-want +got):\n%s", saved, diff)
	}
	if record, err := r.record(); err != nil || record.State != catalog.StateIncomplete {
		t.Errorf("%+v, %v", record, err)
	}
}

// TestMoverArgs: movers do what the request says.
func TestMoverArgs(t *testing.T) {
	target := Target{
		Request: &Request{Compression: compress.Max}, Cluster: "uid",
		Operation: cluster.Operation{ID: "20261121T081200Z-3fa9", Namespace: "demo", StatefulSet: "web"},
	}
	args := strings.Join(target.args(&Volume{Claim: "www-web-0"}).Args(), " ")
	for _, want := range []string{
		"volume backup /volume", "--as demo/web", "--claim www-web-0", "--compression max",
		"--operation mover:uid:20261121T081200Z-3fa9",
	} {
		if !strings.Contains(args, want) {
			t.Errorf("a mover is not told %s: %s", want, args)
		}
	}
}

func TestSkew(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 11, 21, 8, 0, second, 0, time.UTC) }
	volumes := []catalog.Volume{
		{
			RepositorySnapshot: "a",
			Cut:                at(10),
		},
		{RepositorySnapshot: "b", Cut: at(7)},
		{Cut: at(50), Error: "failed"},
		{RepositorySnapshot: "c", Cut: at(12)},
	}
	if got, want := skew(volumes), 5*time.Second; got != want {
		t.Errorf("skew %s, want %s", got, want)
	}
	if got := skew(nil); got != 0 {
		t.Errorf("skew of nothing: %s", got)
	}
}

// testRun is a run over testInventory in which the volumes have these errors.
func testRun(t *testing.T, failures ...string) *run {
	t.Helper()
	inventory := testInventory()
	plan := NewPlan(inventory, capture.Options{Method: method.Auto})
	if err := plan.Err(); err != nil {
		t.Fatal(err)
	}
	engine := &Engine{
		Now:      func() time.Time { return time.Date(2026, 11, 21, 8, 12, 0, 0, time.UTC) },
		Random:   strings.NewReader("????"),
		Reporter: report.Silent{},
	}
	r, err := engine.begin(Request{Tool: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	r.inventory, r.plan = inventory, plan
	for _, volume := range plan.Volumes {
		r.volumes = append(r.volumes, &volumeRun{Volume: volume, saved: recordVolume(volume)})
	}
	for i, failure := range failures {
		r.volumes[i].saved.Error = failure
	}
	return r
}

func TestRecordStates(t *testing.T) {
	for name, tt := range map[string]struct {
		failures []string
		problems int
		want     catalog.State
	}{
		"all saved":       {[]string{"", ""}, 0, catalog.StateComplete},
		"one failed":      {[]string{"", "boom"}, 0, catalog.StateIncomplete},
		"entries missing": {[]string{"", ""}, 2, catalog.StateIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			r := testRun(t, tt.failures...)
			r.volumes[0].saved.ProblemCount = tt.problems
			record, err := r.record()
			if err != nil {
				t.Fatal(err)
			}
			if record.State != tt.want {
				t.Errorf("state %s, want %s", record.State, tt.want)
			}
			if record.ID != "20261121T081200Z-3f3f3f3f" || record.Cluster != "cluster-uid" || record.StatefulSetUID != "sts-uid" ||
				len(record.Volumes) != 2 {
				t.Errorf("record %+v", record)
			}
		})
	}
}

func TestNoRecordOfNothing(t *testing.T) {
	_, err := testRun(t, "boom", "bang").record()
	if err == nil || !strings.Contains(err.Error(), "www-web-0: boom") || !strings.Contains(err.Error(), "www-web-1: bang") {
		t.Errorf("error %v, want both reasons", err)
	}
}

func TestManifests(t *testing.T) {
	inventory := testInventory()
	sts := inventory.StatefulSet
	sts.ResourceVersion, sts.Generation, sts.Status.Replicas = "42", 7, 2
	sts.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
	sts.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: "{}"}
	inventory.Service = &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web"}, Spec: corev1.ServiceSpec{ClusterIP: "None", ClusterIPs: []string{"None"}},
	}
	claim := inventory.Claims["www-web-0"]
	claim.OwnerReferences = []metav1.OwnerReference{{UID: "sts-uid"}}
	claim.Finalizers = []string{"kubernetes.io/pvc-protection"}
	inventory.Volumes["pv-www-web-0"].Spec.ClaimRef = &corev1.ObjectReference{Name: "www-web-0", UID: "gone", ResourceVersion: "3"}
	plan := NewPlan(inventory, capture.Options{Method: method.Auto})
	if err := plan.Err(); err != nil {
		t.Fatal(err)
	}
	manifests, err := Manifests(inventory, plan)
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]string{
		"statefulset.yaml": "StatefulSet", "service.yaml": "Service",
		"claim-www-web-0.yaml": "PersistentVolumeClaim", "claim-www-web-1.yaml": "PersistentVolumeClaim",
		"volume-www-web-0.yaml": "PersistentVolume", "volume-www-web-1.yaml": "PersistentVolume",
	} {
		var object map[string]any
		if err := yaml.Unmarshal(manifests[name], &object); err != nil || object["kind"] != kind || object["apiVersion"] == "" {
			t.Errorf("%s is no %s (%v):\n%s", name, kind, err, manifests[name])
		}
		for _, unwanted := range []string{
			"\nstatus:", "resourceVersion:", "uid:", "managedFields:", "ownerReferences:", "finalizers:", "generation:", "last-applied",
			"creationTimestamp: \"",
		} {
			if strings.Contains(string(manifests[name]), unwanted) {
				t.Errorf("%s still has %s\n%s", name, unwanted, manifests[name])
			}
		}
	}
	if len(manifests) != 6 || !strings.Contains(string(manifests["service.yaml"]), "clusterIP: None") {
		t.Errorf("manifests %v", manifests)
	}
}

func TestPreflight(t *testing.T) {
	plan := &Plan{Namespace: "demo", StatefulSet: "web", Cluster: "this"}
	elsewhere := []catalog.Record{{ID: "20261121T081200Z-0001", Cluster: "other", Namespace: "demo", StatefulSet: "web"}}
	for name, tt := range map[string]struct {
		repositories fakeRepositories
		adopt        bool
		refused      bool
		says         string
	}{
		"no repository":      {repositories: fakeRepositories{}},
		"empty":              {repositories: fakeRepositories{repo: &fakeRepository{}}},
		"of another cluster": {repositories: fakeRepositories{repo: &fakeRepository{records: elsewhere}}, refused: true, says: "--adopt-cluster"},
		"adopted":            {repositories: fakeRepositories{repo: &fakeRepository{records: elsewhere}}, adopt: true},
		"unreadable":         {repositories: fakeRepositories{repo: &fakeRepository{listErr: errors.New("no answer")}}, says: "no answer"},
		"wrong password":     {repositories: fakeRepositories{err: errors.New("wrong password")}, says: "wrong password"},
	} {
		t.Run(name, func(t *testing.T) {
			engine := &Engine{Repositories: tt.repositories, Reporter: report.Silent{}}
			err := engine.preflight(context.Background(), plan, Request{AdoptCluster: tt.adopt})
			var refusal *cluster.Refusal
			if errors.As(err, &refusal) != tt.refused || (err != nil) != (tt.says != "") {
				t.Fatalf("error %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not say %q", err, tt.says)
			}
		})
	}
}
