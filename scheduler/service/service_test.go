package service

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/leader"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/retention"
)

// worker is Operations whose backups each last until the test ends them.
type worker struct {
	repository string
	begun, end chan scheduler.Name
	mutex      sync.Mutex
	points     []scheduler.Point
}

func (w *worker) Points(context.Context, scheduler.Name) ([]scheduler.Point, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.points, nil
}

func (w *worker) Backup(ctx context.Context, of scheduler.Name, _ policy.Backup) (scheduler.Result, error) {
	begun := time.Now()
	w.begun <- of
	select {
	case <-ctx.Done():
		return scheduler.Result{}, ctx.Err()
	case <-w.end:
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.points = append(w.points, scheduler.Point{ID: "made", Started: begun, Finished: time.Now(), Complete: true})
	return scheduler.Result{Point: w.points[len(w.points)-1], BytesRead: 42}, nil
}

func (w *worker) Forget(context.Context, scheduler.Name, retention.Rules, *time.Location) (int, error) {
	return 0, nil
}
func (w *worker) Displaced(context.Context) (map[scheduler.Name]scheduler.Displaced, error) {
	return map[scheduler.Name]scheduler.Displaced{{Namespace: "prod", StatefulSet: "gone"}: {Volumes: 2}}, nil
}

func (w *worker) Discard(context.Context, scheduler.Name, time.Time) (scheduler.Discarded, error) {
	return scheduler.Discarded{}, nil
}
func (w *worker) Prune(context.Context, scheduler.Name) error           { return nil }
func (w *worker) Verify(context.Context, scheduler.Name, float64) error { return nil }

// lockedBuffer is safe for many writers.
type lockedBuffer struct {
	mutex sync.Mutex
	buf   bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buf.String()
}

// TestService is the life of a scheduler: it leads, backs up, shows it, is told to stop, lets the backup end, and gives
// its Lease back.
func TestService(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policies.yaml")
	text := strings.Replace(testPolicies, `"30 2 * * *"`, `"* * * * *"`, 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	kube := fake.NewClientset(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod", Labels: map[string]string{"tier": "gold"}}},
		withVolumes("prod", "pg"), withVolumes("dev", "web"),
	)
	work := &worker{begun: make(chan scheduler.Name, 1), end: make(chan scheduler.Name)}
	var out lockedBuffer
	s, err := newService(Config{
		Policies: path, Kube: kube, Namespace: "prod", LeaseNamespace: "stsbackup", Listener: listener,
		Limits: scheduler.Limits{Overall: 1, PerNamespace: 1, Upkeep: 1}, Grace: time.Minute, Nothing: nothing,
		Operations: func(repository string) (scheduler.Operations, error) {
			work.repository = repository
			return work, nil
		},
		Version: "test", Log: slog.New(slog.NewJSONHandler(&out, nil)), Now: time.Now, Random: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()

	if of := <-work.begun; of != (scheduler.Name{Namespace: "prod", StatefulSet: "pg"}) || work.repository != "s3://backups/prod" {
		t.Errorf("backs up %s to %s", of, work.repository)
	}
	shows(t, listener, "/readyz", "note leading")
	shows(t, listener, "/metrics", `stsbackup_backup_running{namespace="prod",statefulset="pg"} 1`)
	shows(t, listener, "/metrics", `stsbackup_backup_policy_info{namespace="prod",policy="gold",statefulset="pg",suspended="no"} 1`)
	shows(t, listener, "/metrics", `stsbackup_displaced_volumes{namespace="prod",statefulset="gone"} 2`)
	if sets := s.scheduler.Status().StatefulSets; len(sets) != 1 {
		t.Errorf("with -n of one namespace: %+v", sets)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(text, "select", "selct", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	shows(t, listener, "/metrics", "stsbackup_policies_valid 0")
	rejected(t, kube)
	stop()
	select {
	case err := <-done:
		t.Fatalf("did not wait for the backup: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(work.end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	lease, err := kube.CoordinationV1().Leases("stsbackup").Get(t.Context(), leader.LeaseName, metav1.GetOptions{})
	if err != nil || *lease.Spec.HolderIdentity != "" {
		t.Errorf("the Lease afterwards: %v, %+v", err, lease)
	}
	var messages []string
	for lines := bufio.NewScanner(strings.NewReader(out.String())); lines.Scan(); {
		var line struct{ Msg, Result string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("%v: %s", err, lines.Bytes())
		}
		messages = append(messages, strings.TrimSpace(line.Msg+" "+line.Result))
	}
	if got := strings.Join(
		messages,
		", ",
	); got != "scheduler started, leading, selected by several policies; the first in the file decides, policies rejected; the ones before "+
		"stay in force, stopping; running operations may end, backup done, scheduler stopped" {
		t.Errorf("said: %s", got)
	}
}

// rejected waits until an Event says that a policy file is wrong.
func rejected(t *testing.T, kube *fake.Clientset) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(time.Minute)
	for {
		events, err := kube.CoreV1().Events("stsbackup").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(events.Items) > 0 {
			if e := events.Items[0]; e.Reason != "PoliciesRejected" || !strings.Contains(e.Message, `did you mean "select"?`) ||
				e.InvolvedObject.Name != leader.LeaseName {
				t.Errorf("%+v", e)
			}
			return
		}
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatal("no Event tells of a policy file that is wrong")
		}
	}
}

// shows waits until the scheduler shows something.
func shows(t *testing.T, listener net.Listener, path, want string) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(time.Minute)
	for {
		response, err := http.Get(fmt.Sprintf("http://%s%s", listener.Addr(), path))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), want) {
			return
		}
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("%s does not show %s:\n%s", path, want, text)
		}
	}
}
