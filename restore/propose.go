package restore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Request is what somebody asks for: what to do with which StatefulSet.
type Request struct {
	Namespace, StatefulSet string
	// RecoveryPoint names what to restore, in the form that catalog.Find reads; empty means the latest complete one. Undoing and
	// keeping need none. To resume, leave it out, or give the beginning of the id of the recovery point of the interrupted restore.
	RecoveryPoint string
	PlanOptions
}

// Find finds the recovery point that a reference names.
type Find func(ctx context.Context, ref string) (catalog.Record, error)

// Propose makes the plan for the request, and returns it with the record of the recovery point that it restores. It calls
// find only if there is something to restore from; otherwise find may be nil. A refusal by the plan is not an error.
func Propose(ctx context.Context, c *cluster.Client, find Find, r Request) (Plan, catalog.Record, error) {
	if r.Interrupted == WayResume {
		journal, err := Interrupted(ctx, c, r.Namespace, r.StatefulSet)
		if err != nil {
			return Plan{}, catalog.Record{}, err
		}
		if err := r.resume(journal); err != nil {
			return Plan{}, catalog.Record{}, err
		}
	}
	record := catalog.Record{}
	if r.Kind != KindUndo && r.Interrupted != WayKeep {
		var err error
		if record, err = find(ctx, r.RecoveryPoint); err != nil {
			return Plan{}, catalog.Record{}, err
		}
	}
	situation, err := Look(ctx, c, record, r.Namespace, r.StatefulSet)
	if err != nil {
		return Plan{}, record, makeAgain(err)
	}
	return NewPlan(situation, r.PlanOptions), record, nil
}

// resume takes from the journal what the request leaves open, and refuses what contradicts the journal.
func (r *Request) resume(journal *Journal) error {
	if r.RecoveryPoint != "" && !strings.HasPrefix(journal.RecoveryPoint, r.RecoveryPoint) {
		return &cluster.Refusal{
			Object: "StatefulSet " + r.Namespace + "/" + r.StatefulSet,
			Reason: fmt.Sprintf("the interrupted restore brings back %s, not %s", journal.RecoveryPoint, r.RecoveryPoint),
			Next: fmt.Sprintf(
				"continue that one (leave out the recovery point), or put it back first: \"stsbackup undo %s/%s\"",
				r.Namespace,
				r.StatefulSet,
			),
		}
	}
	r.Kind, r.RecoveryPoint = journal.Kind, journal.RecoveryPoint
	return nil
}

// makeAgain says what to do first if the StatefulSet itself is gone.
func makeAgain(err error) error {
	if !errors.Is(err, cluster.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%w (if it was deleted, make it again first, with 0 replicas)", err)
}
