package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// TestManifests: with the bucket alone, one can read the manifests in a recovery point.
func TestManifests(t *testing.T) {
	k := newKeeper(t)
	begun := k.now().Add(-time.Hour)
	id := "20261121T110000Z-3fa91c07"
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
	}, map[string][]byte{"statefulset.yaml": []byte("kind: StatefulSet\n"), "service.yaml": []byte("kind: Service\nname: evil\x1b[2J\n")})
	if err != nil {
		t.Fatal(err)
	}
	want := "---\n# service.yaml\nkind: Service\nname: evil\\x1b[2J\n---\n# statefulset.yaml\nkind: StatefulSet\n"
	if out := k.run(exitDone, "show", "demo/web", "--manifests"); out != want {
		t.Errorf("%q, want %q", out, want)
	}
	var texts map[string]string
	decode(t, k.run(exitDone, "show", "demo/web@"+id, "--manifests", "-o", "json"), &texts)
	if len(texts) != 2 || texts["statefulset.yaml"] != "kind: StatefulSet\n" {
		t.Errorf("%q", texts)
	}
	if out := k.run(exitDone, "volume", "ls", "demo/web", "--manifests"); !strings.Contains(out, " service.yaml\n") ||
		!strings.Contains(out, " statefulset.yaml\n") {
		t.Error(out)
	}
	if out := k.run(exitDone, "volume", "cat", "demo/web@2026-11-21T11:00", "--manifests", "statefulset.yaml"); out != "kind: StatefulSet\n" {
		t.Errorf("%q", out)
	}
	k.run(exitUsage, "volume", "ls", "demo/web", "--manifests", "--claim", "www-web-0")
	k.run(exitUsage, "volume", "ls", "demo/web")
	k.run(exitNotFound, "volume", "ls", "demo/web@2020", "--manifests")
	k.run(exitDone, "show", "demo/web@"+k.ids[0], "--manifests")
	k.says("Recovery point " + k.ids[0] + " of demo/web holds no manifests")
}
