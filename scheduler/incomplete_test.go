package scheduler

import (
	"context"
	"errors"

	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// incompletely makes incomplete recovery points.
type incompletely struct{ *world }

// Backup implements Operations.
func (i incompletely) Backup(_ context.Context, of Name, _ policy.Backup) (Result, error) {
	i.note("backup", of)
	return i.made(of, i.now(), false), errors.New("1 of 3 volumes could not be saved")
}
