package holder

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/test/cluster/config"
	"github.com/stsbackup/stsbackup/test/cluster/process"
	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// TestControl ends a component on request and starts it again, and asks for what is impossible.
func TestControl(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	h := &holder{
		Cluster:    spec.Cluster{Layout: spec.Layout{Dir: t.TempDir()}},
		supervisor: process.NewSupervisor(t.Context(), t.TempDir()),
		api:        &api{server: server.URL, client: server.Client()},
		started:    make(chan *process.Process, 2),
		status:     Status{Ended: map[string]string{}},
	}
	if err := os.Mkdir(h.Run(), 0o755); err != nil {
		t.Fatal(err)
	}
	first, err := h.component(config.Command{Name: "etcd", Argv: []string{"sleep", "600"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.control(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask := func(verb, component, want string) {
		t.Helper()
		err := Ask(t.Context(), h.Control(), Request{Verb: verb, Component: component})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s %s: %v, want %q", verb, component, err, want)
		}
	}
	ask(VerbStop, "apiserver", `there is no component "apiserver"; there are etcd`)
	ask("pause", "etcd", `the verb "pause" is not known`)
	ask(VerbStart, "etcd", "it is running")
	ask(VerbStop, "etcd", "")
	select {
	case <-first.Done():
	default:
		t.Error("the component runs on")
	}
	ask(VerbStop, "etcd", "") // it stays ended
	ask(VerbStart, "etcd", "")
	again := h.supervisor.Find("etcd")
	if again == first {
		t.Error("the component was not started again")
	}
	ask(VerbStop, "etcd", "")
}

// TestStatusOfAComponentThatIsStartedAgain: the status lists it as ended only while it is.
func TestStatusOfAComponentThatIsStartedAgain(t *testing.T) {
	h := &holder{
		Cluster:    spec.Cluster{Layout: spec.Layout{Dir: t.TempDir()}},
		supervisor: process.NewSupervisor(t.Context(), t.TempDir()),
		started:    make(chan *process.Process, 2),
		status:     Status{Ended: map[string]string{}},
	}
	if err := os.Mkdir(h.Run(), 0o755); err != nil {
		t.Fatal(err)
	}
	go h.watch(t.Context())
	awaitEnded := func(want string) {
		t.Helper()
		eventually(t, func() bool {
			status, err := ReadStatus(h.Status())
			return err == nil && status.Ended["etcd"] == want
		})
	}
	if _, err := h.component(config.Command{Name: "etcd", Argv: []string{"sh", "-c", "exit 3"}}); err != nil {
		t.Fatal(err)
	}
	awaitEnded("ended by itself: exit status 3")
	p, err := h.component(config.Command{Name: "etcd", Argv: []string{"sleep", "600"}})
	if err != nil {
		t.Fatal(err)
	}
	awaitEnded("")
	p.Signal(9)
	awaitEnded("ended by itself: ended by signal killed")
}

// eventually waits for a condition.
func eventually(t *testing.T, met func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !met() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("waited in vain")
		}
	}
}
