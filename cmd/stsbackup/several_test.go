package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/repository"
)

func TestExitCodeOfSeveral(t *testing.T) {
	failed, busy := errors.New("disk on fire"), fmt.Errorf("prune: %w", repository.ErrLocked)
	missing, part := fmt.Errorf("demo/web: %w", cluster.ErrNotFound), &incompleteError{err: errors.New("half")}
	refused := &cluster.Refusal{Object: "o", Reason: "r", Next: "n"}
	for _, tt := range []struct {
		want int
		errs []error
	}{
		{exitFailed, []error{part, missing, failed, refused}},
		{exitNotFound, []error{part, busy, missing, refused}},
		{exitRefused, []error{part, busy}},
		{exitIncomplete, []error{part, nil}},
		{exitFailed, []error{joined(part, failed), refused}},
	} {
		if got := exitCode(t.Context(), joined(tt.errs...)); got != tt.want {
			t.Errorf("%v: exit code %d, want %d", tt.errs, got, tt.want)
		}
	}
	if err := joined(nil, nil); err != nil {
		t.Error(err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if got := exitCode(stopped, joined(failed, missing)); got != exitInterrupted {
		t.Errorf("after an interruption: %d", got)
	}
}

// TestEachIsInterrupted: each starts nothing more, and says what it did not start.
func TestEachIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	targets := []target{{namespace: "demo", statefulSet: "a"}, {namespace: "demo", statefulSet: "b"}, {namespace: "demo", statefulSet: "c"}}
	var begun []string
	do := func(_ context.Context, t target) (*string, error) {
		begun = append(begun, t.statefulSet)
		cancel()
		return nil, nil
	}
	err := each(ctx, &app{out: io.Discard, err: io.Discard}, ui.Text, targets, do, func(io.Writer, target, *string) error { return nil })
	if !slices.Equal(begun, []string{"a"}) || exitCode(ctx, err) != exitInterrupted ||
		!strings.Contains(fmt.Sprint(err), "not begun: demo/b, demo/c") {
		t.Errorf("begun %q, %v", begun, err)
	}
}

// cluster has the StatefulSets demo/db and demo/cache, which have nothing to back up, other/db, and those in more.
func (s *shell) cluster(more ...appsv1.StatefulSet) string {
	mux := clusterOf(more...)
	addLeases(mux)
	return kubeconfig(s.t, mux)
}

// clusterOf is the API of such a cluster, without Leases.
func clusterOf(more ...appsv1.StatefulSet) *http.ServeMux {
	set := func(namespace, name string, replicas int32, labels map[string]string) appsv1.StatefulSet {
		set := appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
			Spec:       appsv1.StatefulSetSpec{Replicas: &replicas},
		}
		if replicas == 0 || namespace == "other" {
			set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
		}
		return set
	}
	all := []appsv1.StatefulSet{
		set("demo", "cache", 1, map[string]string{"tier": "cache"}), set("demo", "db", 0, map[string]string{"tier": "db"}),
		set("other", "db", 0, map[string]string{"tier": "db"}),
	}
	all = append(all, more...)
	list := func(w http.ResponseWriter, namespace string) {
		items := slices.DeleteFunc(slices.Clone(all), func(s appsv1.StatefulSet) bool { return namespace != "" && s.Namespace != namespace })
		reply(w, http.StatusOK, appsv1.StatefulSetList{TypeMeta: metav1.TypeMeta{Kind: "StatefulSetList", APIVersion: "apps/v1"}, Items: items})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /apis/apps/v1/statefulsets", func(w http.ResponseWriter, _ *http.Request) { list(w, "") })
	mux.HandleFunc(
		"GET /apis/apps/v1/namespaces/{namespace}/statefulsets",
		func(w http.ResponseWriter, r *http.Request) { list(w, r.PathValue("namespace")) },
	)
	mux.HandleFunc("GET /apis/apps/v1/namespaces/{namespace}/statefulsets/{name}", func(w http.ResponseWriter, r *http.Request) {
		for _, set := range all {
			if set.Namespace == r.PathValue("namespace") && set.Name == r.PathValue("name") {
				set.TypeMeta = metav1.TypeMeta{Kind: "StatefulSet", APIVersion: "apps/v1"}
				reply(w, http.StatusOK, set)
				return
			}
		}
		reply(w, http.StatusNotFound, notFound())
	})
	mux.HandleFunc("GET /api/v1/namespaces/kube-system", func(w http.ResponseWriter, _ *http.Request) {
		reply(
			w,
			http.StatusOK,
			corev1.Namespace{
				TypeMeta:   metav1.TypeMeta{Kind: "Namespace", APIVersion: "v1"},
				ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "c"},
			},
		)
	})
	mux.HandleFunc("GET /api/v1/namespaces/demo", func(w http.ResponseWriter, _ *http.Request) {
		reply(
			w,
			http.StatusOK,
			corev1.Namespace{TypeMeta: metav1.TypeMeta{Kind: "Namespace", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: "demo"}},
		)
	})
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/persistentvolumeclaims", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, corev1.PersistentVolumeClaimList{TypeMeta: metav1.TypeMeta{Kind: "PersistentVolumeClaimList", APIVersion: "v1"}})
	})
	mux.HandleFunc("GET /apis/storage.k8s.io/v1/storageclasses", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, storagev1.StorageClassList{TypeMeta: metav1.TypeMeta{Kind: "StorageClassList", APIVersion: "storage.k8s.io/v1"}})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusNotFound, notFound()) })
	return mux
}

// addLeases stores Leases.
func addLeases(mux *http.ServeMux) {
	const collection = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
	var mu sync.Mutex
	leases := map[string]coordinationv1.Lease{}
	version := 0
	keep := func(w http.ResponseWriter, r *http.Request, create bool) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		object, _, decodeErr := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
		sent, ok := object.(*coordinationv1.Lease)
		if err != nil || decodeErr != nil || !ok {
			reply(
				w,
				http.StatusBadRequest,
				metav1.Status{Status: metav1.StatusFailure, Message: fmt.Sprint(err, decodeErr), Code: http.StatusBadRequest},
			)
			return
		}
		lease := *sent
		if _, exists := leases[lease.Name]; exists && create {
			reply(
				w,
				http.StatusConflict,
				metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonAlreadyExists, Code: http.StatusConflict},
			)
			return
		}
		version++
		lease.TypeMeta = metav1.TypeMeta{Kind: "Lease", APIVersion: "coordination.k8s.io/v1"}
		lease.ResourceVersion, lease.UID = strconv.Itoa(version), "lease"
		leases[lease.Name] = lease
		reply(w, http.StatusOK, lease)
	}
	one := func(w http.ResponseWriter, r *http.Request, remove bool) {
		mu.Lock()
		defer mu.Unlock()
		lease, exists := leases[r.PathValue("name")]
		if !exists {
			reply(w, http.StatusNotFound, notFound())
			return
		}
		if remove {
			delete(leases, lease.Name)
		}
		reply(w, http.StatusOK, lease)
	}
	mux.HandleFunc("POST "+collection, func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("namespace") == "gone" {
			reply(w, http.StatusNotFound, notFound())
			return
		}
		keep(w, r, true)
	})
	mux.HandleFunc("PUT "+collection+"/{name}", func(w http.ResponseWriter, r *http.Request) { keep(w, r, false) })
	mux.HandleFunc("GET "+collection+"/{name}", func(w http.ResponseWriter, r *http.Request) { one(w, r, false) })
	mux.HandleFunc("DELETE "+collection+"/{name}", func(w http.ResponseWriter, r *http.Request) { one(w, r, true) })
}

func notFound() metav1.Status {
	return metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound,
	}
}

func reply(w http.ResponseWriter, status int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object) // the client notices an error
}

// documents reads a stream of JSON documents.
func documents[T any](t *testing.T, text string) []T {
	t.Helper()
	var all []T
	for decoder := json.NewDecoder(strings.NewReader(text)); ; {
		var one T
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		all = append(all, one)
	}
}

func TestBackupSeveral(t *testing.T) {
	s := volumeShell(t)
	s.env["STSBACKUP_MOVER_REPO"] = "s3://bucket/root?endpoint=http://127.0.0.1:1&region=r"
	s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = "key", "secret"
	s.env["STSBACKUP_REPO"] = "file://" + t.TempDir()
	s.env["KUBECONFIG"] = ""
	backup := func(want int, args ...string) string {
		t.Helper()
		return s.run(want, append([]string{"backup", "--kubeconfig", s.cluster()}, args...)...)
	}
	// One that does not exist and two that are refused: backup tries each.
	backup(exitNotFound, "demo/cache", "demo/none", "demo/db", "demo/cache")
	s.says(
		"demo/cache: StatefulSet demo/cache: it has no volumeClaimTemplates",
		"demo/none: StatefulSet demo/none: not found",
		"demo/db: StatefulSet demo/db: it is scaled to 0",
		"3 of 3 StatefulSets failed",
		"demo/cache, demo/none, demo/db",
	)
	found := documents[failure](t, backup(exitNotFound, "demo/cache", "demo/none", "-o", "json"))
	if len(found) != 2 || found[0].ExitCode != exitRefused || found[1].ExitCode != exitNotFound || found[1].StatefulSet != "none" ||
		found[1].Error == "" {
		t.Errorf("%+v", found)
	}
	if out := backup(exitRefused, "demo/cache", "-o", "json"); out != "" {
		t.Errorf("one StatefulSet alone: %s", out)
	}
	// backup skips a StatefulSet that the flags choose if it has nothing to back up.
	for _, tt := range []struct {
		says string
		args []string
	}{
		{"demo/db is skipped: it is scaled to 0 replicas", []string{"--selector", "tier=db", "-n", "demo"}},
		{"other/db is skipped", []string{"-l", "tier in (db)", "-A"}},
		{"demo/cache is skipped: it has no volumeClaimTemplates", []string{"--all", "-n", "demo"}},
		{"not found: nothing to back up: all of the chosen StatefulSets were skipped (reasons above)", []string{"--all", "-A"}},
		{"none of the 2 StatefulSets in namespace demo has the labels tier=queue", []string{"-l", "tier=queue", "-n", "demo"}},
		{"not found: there are no StatefulSets in namespace empty", []string{"--all", "-n", "empty"}},
	} {
		backup(exitNotFound, tt.args...)
		s.says(tt.says)
	}
	for _, tt := range []struct {
		says string
		args []string
	}{
		{"name StatefulSets, or choose them", nil},
		{"name StatefulSets, or choose them", []string{"-n", "demo"}},
		{"and --all exclude each other", []string{"demo/web", "--all"}},
		{"and --selector exclude each other", []string{"demo/web", "-l", "tier=db"}},
		{"give one of them", []string{"--all", "-l", "tier=db"}},
		{"give one of them", []string{"--all", "-A", "-n", "demo"}},
		{"needs --all or --selector", []string{"demo/web", "-A"}},
		{"it is empty; --all chooses all", []string{"--selector", ""}},
		{"is not a label selector", []string{"--selector", "a=b=c"}},
		{"--parallel is 0", []string{"demo/web", "--parallel", "0"}},
		{"without @latest", []string{"demo/web", "demo/db@latest"}},
		{"more than their limit", []string{"demo/cache", "--mover-requests", "memory=2Gi", "--mover-limits", "memory=1Gi"}},
	} {
		backup(exitUsage, tt.args...)
		s.says(tt.says)
	}
}
