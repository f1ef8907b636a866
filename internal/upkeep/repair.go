package upkeep

import (
	"context"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// RepairRequest asks for a repair.
type RepairRequest struct {
	StatefulSet catalog.Name
	// DryRun finds everything out, but changes nothing.
	DryRun bool
	// ForgetDamaged also removes repository snapshots whose own objects are damaged.
	ForgetDamaged bool
}

// Repair removes what is damaged from a repository, so that the next backup saves it again.
func (u *Upkeep) Repair(ctx context.Context, request RepairRequest) (report repository.RepairReport, err error) {
	points, err := u.open(ctx, request.StatefulSet)
	if err != nil {
		return report, err
	}
	options := repository.RepairOptions{DryRun: request.DryRun, ForgetDamaged: request.ForgetDamaged, Progress: u.Progress}
	err = u.alone(ctx, points, func(ctx context.Context) (err error) {
		report, err = points.Repository().Repair(ctx, options)
		return err
	})
	return report, err
}
