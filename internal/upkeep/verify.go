package upkeep

import (
	"context"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// The verdicts of a verify that finds damage.
var (
	// ErrDamaged says that recovery points, or what they depend on, are damaged.
	ErrDamaged = errors.New("found damage")
	// ErrLockDamaged says that a lock is damaged, but every recovery point is intact. A damaged lock goes away by itself.
	ErrLockDamaged = errors.New("a lock is damaged, nothing else")
)

// VerifyRequest asks for a verify.
type VerifyRequest struct {
	StatefulSet catalog.Name
	// RecoveryPoint, in the form that catalog.Find takes, restricts the verify to what that recovery point needs. "" means the
	// whole repository.
	RecoveryPoint string
	// ReadData is the share of the packs to read completely, from 0 to 1.
	ReadData float64
}

// VerifyResult is what a verify has found.
type VerifyResult struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	catalog.Verification
}

// Verify checks the recovery points of a StatefulSet, or one of them. If the error is a verdict (ErrDamaged or
// ErrLockDamaged), there is a result beside it. Verify takes no lock.
func (u *Upkeep) Verify(ctx context.Context, request VerifyRequest) (*VerifyResult, error) {
	of := request.StatefulSet
	points, err := u.Repositories.Open(ctx, of)
	if err != nil {
		return nil, err
	}
	options := repository.CheckOptions{ReadData: request.ReadData, Progress: u.Progress}
	found, err := points.Verify(ctx, request.RecoveryPoint, options)
	if err != nil {
		return nil, err
	}
	result := &VerifyResult{Namespace: of.Namespace, StatefulSet: of.StatefulSet, Verification: found}
	return result, verdict(pointName(of, request.RecoveryPoint), found)
}

// verdict is the error that says what a verify has found; nil if all is well.
func verdict(what string, found catalog.Verification) error {
	switch {
	case found.OK():
		return nil
	case found.OnlyLocks():
		return fmt.Errorf("verify %s: %w: you can restore all recovery points", what, ErrLockDamaged)
	default:
		return fmt.Errorf("verify %s: %w; you can restore every recovery point that is not listed as damaged. "+
			"Run stsbackup repair, then make a new recovery point: until then, new ones rely on the damaged data", what, ErrDamaged)
	}
}

// pointName names a StatefulSet, or one of its recovery points, as users write it.
func pointName(of catalog.Name, point string) string {
	if point == "" {
		return of.String()
	}
	return of.String() + "@" + point
}
