package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// apiServer serves a cluster with these pods, in namespace demo if a key names no namespace. It returns the path of a
// kubeconfig.
func apiServer(t *testing.T, uid string, pods map[string]string) string {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, format string, args ...any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, format, args...)
	}
	mux.HandleFunc("GET /api/v1/namespaces/kube-system", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":%q}}`, uid)
	})
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if namespace := r.PathValue("namespace"); namespace != "demo" {
			name = namespace + "/" + name
		}
		switch phase := pods[name]; phase {
		case "":
			answer(w, http.StatusNotFound, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		case "forbidden":
			answer(w, http.StatusForbidden, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
		default:
			answer(w, http.StatusOK, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q},"status":{"phase":%q}}`, r.PathValue("name"), phase)
		}
	})
	return kubeconfig(t, mux)
}

// kubeconfig serves an API and returns the path of a kubeconfig for it.
func kubeconfig(t *testing.T, api http.Handler) string {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q}}],
		"users":[{"name":"u"}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`, server.URL)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lockOf leaves a lock that belongs to someone else.
func (s *shell) lockOf(host, operation string) (release func()) {
	s.t.Helper()
	bucket, err := local.Open(local.Config{Dir: filepath.Join(s.root(), "demo/web")})
	if err != nil {
		s.t.Fatal(err)
	}
	repo, err := repository.Open(
		s.ctx,
		bucket,
		catalog.Password("secret", "demo", "web"),
		repository.Options{Hostname: host, Operation: operation},
	)
	if err != nil {
		s.t.Fatal(err)
	}
	lock, err := repo.Lock(s.ctx) // renewed until the test's context ends, which is long after it matters
	if err != nil {
		s.t.Fatal(err)
	}
	release = func() { _ = lock.Release(s.ctx) } // removed or not
	s.t.Cleanup(release)
	return release
}

// TestLocksOfDeadMovers prunes while a mover's lock is there: what the cluster says about the mover's pod decides.
func TestLocksOfDeadMovers(t *testing.T) {
	const pod = "stsbackup-20261121t081200z-3fa9-0-www-x7k2p"
	operation := cluster.Operation{ID: "20261121T081200Z-3fa9", Namespace: "demo", StatefulSet: "web"}.MoverMark("c")
	// It restores from this repository to another namespace.
	clone := cluster.Operation{ID: "20261121T081200Z-3fa9", Namespace: "demo2", StatefulSet: "web"}.MoverMark("c")
	tests := map[string]struct {
		host, operation string
		uid             string
		pods            map[string]string
		want            int
		says            string
	}{
		"the pod is gone":     {pod, operation, "c", nil, exitDone, "Removed the lock"},
		"the pod has failed":  {pod, operation, "c", map[string]string{pod: "Failed"}, exitDone, "Removed the lock"},
		"the pod runs":        {pod, operation, "c", map[string]string{pod: "Running"}, exitRefused, "locked"},
		"it may not be known": {pod, operation, "c", map[string]string{pod: "forbidden"}, exitRefused, "Could not check whether the mover"},
		"another cluster":     {pod, operation, "other", nil, exitRefused, "locked"},
		"no cluster is named": {pod, "20261121T081200Z-3fa9", "c", nil, exitRefused, "locked"},
		"of another":          {pod, clone, "c", map[string]string{pod: "Running"}, exitDone, "Removed the lock"}, // in its own namespace
		"another's, running":  {pod, clone, "c", map[string]string{"demo2/" + pod: "Running"}, exitRefused, "locked"},
		"it names nobody":     {pod, "", "c", nil, exitRefused, "locked"},
		"someone else's":      {"ops-1", operation, "c", nil, exitRefused, "ops-1"},
		"a pod of other names": {
			pod,
			cluster.Operation{ID: "20261121T081200Z-ffff", Namespace: "demo", StatefulSet: "web"}.MoverMark("c"),
			"c",
			nil,
			exitRefused,
			"locked",
		},
	}
	s := volumeShell(t)
	id := s.point(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "0001", site(t))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			release := s.lockOf(tt.host, tt.operation)
			s.run(tt.want, "prune", "demo/web", "--retry-lock", "0", "--kubeconfig", apiServer(t, tt.uid, tt.pods))
			s.says(tt.says)
			release()
		})
	}
	t.Run("unlock", func(t *testing.T) {
		s.lockOf(pod, operation)
		s.lockOf("ops-1", "")
		var result upkeep.UnlockResult
		decode(t, s.run(0, "unlock", "demo/web", "-o", "json", "--kubeconfig", filepath.Join(t.TempDir(), "none")), &result)
		if len(result.Removed) != 0 || len(result.Left) != 2 {
			t.Errorf("without a cluster: %+v", result)
		}
		decode(t, s.run(0, "unlock", "demo/web", "-o", "json", "--kubeconfig", apiServer(t, "c", nil)), &result)
		if len(result.Removed) != 1 || result.Removed[0].Host != pod || len(result.Left) != 1 {
			t.Errorf("with a cluster: %+v", result)
		}
		s.run(exitRefused, "forget", "demo/web@"+id, "--retry-lock", "0")
	})
}

// TestLocksOfDeadMoversWithoutRecords has no record that would say whose the repository is: the first backup died, or
// the data is damaged.
func TestLocksOfDeadMoversWithoutRecords(t *testing.T) {
	const pod = "stsbackup-20261121t081200z-3fa9-0-www-x7k2p"
	operation := cluster.Operation{ID: "20261121T081200Z-3fa9", Namespace: "demo", StatefulSet: "web"}.MoverMark("c")
	s := volumeShell(t)
	s.run(0, "volume", "backup", site(t), "--as", "demo/web", "--claim", "www-web-0", "--recovery-point", "20261121T081200Z-3fa9")
	s.lockOf(pod, operation)
	s.run(exitRefused, "prune", "demo/web", "--retry-lock", "0", "--kubeconfig", apiServer(t, "other", nil))
	s.run(0, "prune", "demo/web", "--retry-lock", "0", "--kubeconfig", apiServer(t, "c", nil))
	s.says("Removed the lock")

	s.point(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), "0001", site(t))
	if err := os.RemoveAll(filepath.Join(s.root(), "demo/web/data")); err != nil {
		t.Fatal(err)
	}
	s.lockOf(pod, operation)
	var result upkeep.UnlockResult
	decode(t, s.run(0, "unlock", "demo/web", "-o", "json", "--kubeconfig", apiServer(t, "c", nil)), &result)
	if len(result.Removed) != 1 || result.Removed[0].Host != pod || len(result.Left) != 0 {
		t.Errorf("of a damaged repository: %+v", result)
	}
}

// TestLockOfAMover looks at a mover's lock while the mover reports its progress.
func TestLockOfAMover(t *testing.T) {
	operation := cluster.Operation{ID: "20261121T081200Z-3fa9", Namespace: "demo", StatefulSet: "web"}.MoverMark("c")
	s := volumeShell(t)
	save := []string{"volume", "backup", site(t), "--as", "demo/web", "--claim", "www-web-0", "--recovery-point", "20261121T081200Z-3fa9"}
	id := s.point(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "0001", site(t))
	bring := []string{"volume", "restore", "demo/web@" + id, "--claim", "www-web-0", filepath.Join(t.TempDir(), "www")}
	var seen []string
	s.onOutput = func() {
		holders, err := s.repository().Locks(s.ctx)
		if err != nil {
			t.Error(err)
		}
		for _, h := range holders {
			seen = append(seen, h.Operation)
		}
	}
	for _, args := range [][]string{save, bring} {
		seen = nil
		s.run(0, append(args, "--operation", operation, "--result-file", filepath.Join(t.TempDir(), "result"))...)
		if !slices.Contains(seen, operation) {
			t.Errorf("the locks of %q say %q, want %q", args, seen, operation)
		}
	}
}
