package catalog

import (
	"errors"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// TestRecordedIsRecorded: once its record is saved a recovery point exists, and once the record is gone it is
// forgotten, whether the lock can be removed then or not.
func TestRecordedIsRecorded(t *testing.T) {
	w := newWorld(t)
	record := w.record(t, "3fa9", started, StateComplete)
	for _, step := range []struct {
		do   func(*Catalog) error
		left int // recovery points
	}{
		{func(c *Catalog) error { return c.Commit(t.Context(), record, nil) }, 1},
		{func(c *Catalog) error {
			_, err := c.Forget(t.Context(), string(record.ID))
			return err
		}, 0},
	} {
		faulty := storagetest.NewFaulty(w.bucket, storagetest.Fault{At: 1, Match: func(op storagetest.Operation) bool {
			return op.Verb == storagetest.Delete && strings.HasPrefix(op.Name, "demo/web/locks/")
		}})
		c, err := Open(t.Context(), faulty, "demo", "web", Password("root", "demo", "web"))
		if err != nil {
			t.Fatal(err)
		}
		var told []error
		c.Repository().SetLockLeft(func(err error) { told = append(told, err) })
		if err := step.do(c); err != nil || len(told) != 1 || !errors.Is(told[0], storagetest.ErrFault) ||
			!strings.Contains(told[0].Error(), "stsbackup unlock") {
			t.Fatalf("%v; told: %v", err, told)
		}
		if records, err := w.List(t.Context()); err != nil || len(records) != step.left || count(t, w.bucket, "demo/web/locks/") != 1 {
			t.Fatalf("%d recovery points, want %d; %v", len(records), step.left, err)
		}
		// Leftovers of this process do not block removing data, which removes them too.
		if _, err := c.ForgetChosen(t.Context(), func([]Point) []RecoveryPointID { return nil }); err != nil ||
			count(t, w.bucket, "demo/web/locks/") != 0 {
			t.Fatalf("the next one: %v; locks: %v", err, names(t, w.bucket, "demo/web/locks/"))
		}
	}
}
