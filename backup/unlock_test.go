package backup

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestRunRemovesTheLocksOfDeadMovers puts all sorts of locks into the repository. Locks of movers go: those of earlier operations
// before anything is copied, those of this operation at its end. Locks that go with the Lease go, too. Locks of people stay.
func TestRunRemovesTheLocksOfDeadMovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		id := time.Now().UTC().Format("20060102T150405Z") + "-3f3f3f3f" // the stage's randomness is question marks
		of := func(id string) cluster.Operation {
			return cluster.Operation{ID: id, Namespace: "demo", StatefulSet: "web"}
		}
		mover := func(id string) repository.Holder {
			return repository.Holder{Host: "stsbackup-" + strings.ToLower(id) + "-0-www-x7k2p", Operation: of(id).MoverMark("cluster-uid")}
		}
		dead, own := mover("19991231T235900Z-3fa9"), mover(id)
		pruned := repository.Holder{
			Host:      "scheduler-0",
			Operation: cluster.Operation{ID: "19991231T235900Z-dead"}.LeaseMark("cluster-uid"),
			Exclusive: true,
		}
		people := []repository.Holder{
			{Host: "scheduler-0", Operation: cluster.Operation{ID: "19991231T235900Z-dead"}.LeaseMark("another")},
			{Host: "ops-1"},
			{Host: "ops-1", Operation: dead.Operation},
			{Host: "ops-1", Operation: own.Operation},
			{Host: dead.Host},
			{Host: dead.Host, Operation: "19991231T235900Z-3fa9"},
			{Host: dead.Host, Operation: of("19991231T235900Z-3fa9").MoverMark("another")},
			{Host: dead.Host, Operation: of("19991231T235900Z-ffff").MoverMark("cluster-uid")},
			// They restore from this repository, under Leases that are not ours.
			{
				Host:      dead.Host,
				Operation: cluster.Operation{ID: "19991231T235900Z-3fa9", Namespace: "demo", StatefulSet: "web2"}.MoverMark("cluster-uid"),
			},
			{
				Host:      dead.Host,
				Operation: cluster.Operation{ID: "19991231T235900Z-3fa9", Namespace: "demo2", StatefulSet: "web"}.MoverMark("cluster-uid"),
			},
			{Host: "stsbackup-", Operation: ""},
		}
		s.repo.locks = append([]repository.Holder{dead, own, pruned}, people...)
		if _, err := s.run(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(people, s.repo.locks, cmpopts.IgnoreUnexported(repository.Holder{})); diff != "" {
			t.Errorf("locks that are left (-want +got):\n%s", diff)
		}
		if want := of(id).LeaseMark("cluster-uid"); s.repo.operation != want {
			t.Errorf("the record is written under a lock of %q, want %q", s.repo.operation, want)
		}
		events := strings.Join(s.did, "\n")
		before, after, _ := strings.Cut(events, "commit")
		if !strings.Contains(before, dead.Host) || !strings.Contains(before, pruned.Host) || strings.Contains(before, own.Host) ||
			!strings.Contains(after, own.Host) {
			t.Errorf("told:\n%s", events)
		}
	})
}
