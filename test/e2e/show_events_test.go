//go:build e2e

package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/storage"
)

// event is an Event of the cluster, and its object.
type event struct {
	InvolvedObject struct{ Kind, Name string }
	Type           string
	Reason         string
	Message        string
	LastTimestamp  time.Time
	Source         struct{ Component string }
}

// givesUp reports whether the Event says that a StatefulSet has not been backed up since a time, because nothing could
// be reached at an endpoint.
func (e event) givesUp(statefulSet string, since time.Time, endpoint string) bool {
	return e.InvolvedObject.Kind == "StatefulSet" && e.InvolvedObject.Name == statefulSet && e.Source.Component == "stsbackup" &&
		e.Type == "Warning" && e.Reason == scheduler.ReasonGivenUp && !e.LastTimestamp.Before(since.Truncate(time.Second)) &&
		strings.Contains(e.Message, storage.ErrUnreachable.Error()) && strings.Contains(e.Message, endpoint)
}

// tellsOfFailures checks that the time without a bucket has left an Event on each StatefulSet.
func (in installation) tellsOfFailures(down time.Time, bucket ownBucket) {
	in.t.Helper()
	out := in.kubectl("get", "events", "--output=json")
	var events struct{ Items []event }
	if err := json.Unmarshal([]byte(out), &events); err != nil {
		in.t.Fatal(err)
	}
	for _, name := range []string{"alpha", "beta"} {
		if !slices.ContainsFunc(events.Items, func(e event) bool { return e.givesUp(name, down, bucket.endpoint) }) {
			in.t.Errorf(
				"no Event says that %s was not backed up since %s for want of %s:\n%s",
				name,
				down.UTC().Format(time.RFC3339),
				bucket.endpoint,
				out,
			)
		}
	}
}

// TestGivesUp shows that givesUp can fail.
func TestGivesUp(t *testing.T) {
	const endpoint = "http://s3.demo.svc.cluster.local:7070"
	down := time.Date(2026, 11, 21, 10, 3, 20, 500, time.UTC)
	good := event{
		Type:          "Warning",
		Reason:        "BackupGivenUp",
		LastTimestamp: down.Truncate(time.Second),
		Message: "Given up: the backup that was due at … could not be made by …: list the recovery points: the bucket cannot be used: " +
			"endpoint unreachable: dial " + endpoint,
	}
	good.InvolvedObject.Kind, good.InvolvedObject.Name, good.Source.Component = "StatefulSet", "alpha", "stsbackup"
	if !good.givesUp("alpha", down, endpoint) {
		t.Errorf("%+v does not count", good)
	}
	for name, spoil := range map[string]func(e *event){
		"of another reason":      func(e *event) { e.Reason = "BackupRefused" },
		"no warning":             func(e *event) { e.Type = "Normal" },
		"too old":                func(e *event) { e.LastTimestamp = down.Add(-time.Second) },
		"of another StatefulSet": func(e *event) { e.InvolvedObject.Name = "beta" },
		"of a pod":               func(e *event) { e.InvolvedObject.Kind = "Pod" },
		"of a controller":        func(e *event) { e.Source.Component = "statefulset-controller" },
		"for want of time":       func(e *event) { e.Message = "Given up: others had to be backed up first" },
		"of another bucket":      func(e *event) { e.Message = strings.ReplaceAll(e.Message, "demo", "prod") },
	} {
		e := good
		spoil(&e)
		if e.givesUp("alpha", down, endpoint) {
			t.Errorf("an Event that is %s counts: %+v", name, e)
		}
	}
}
