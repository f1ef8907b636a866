package upkeep

import (
	"context"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// ForgetRequest names the recovery points of a StatefulSet to forget.
type ForgetRequest struct {
	StatefulSet catalog.Name
	// IDs are whole ids, or beginnings of ids that are unambiguous.
	IDs []string
	// Force forgets even the newest complete recovery point, and works even if recovery points cannot be read.
	Force bool
	// DryRun finds everything out, but removes nothing.
	DryRun bool
}

// Question is what Confirm asks a person: whether to forget these recovery points.
type Question struct {
	StatefulSet catalog.Name
	// Forgotten are the recovery points to forget, if they are Known. If they are not Known, the recovery points cannot be read.
	Forgotten []catalog.Forgotten
	Known     bool
	// Left is how many complete recovery points stay. Last says that possibly none stays.
	Left int
	Last bool
}

// Forget removes the named recovery points. It returns what it has removed. In a dry run it returns what it
// would remove, together with the refusal if there is one.
func (u *Upkeep) Forget(ctx context.Context, request ForgetRequest) ([]catalog.Forgotten, error) {
	points, err := u.open(ctx, request.StatefulSet)
	if err != nil {
		return nil, err
	}
	named, err := u.look(ctx, points, request)
	if err != nil {
		return nil, err
	}
	refused := named.refusal()
	switch {
	case request.DryRun:
		return named.forgotten, refused
	case refused != nil:
		return nil, refused
	}
	if err := u.confirm(ctx, named); err != nil {
		return nil, err
	}
	return u.forgetNamed(ctx, points, named)
}

// removal is what Forget was asked to remove, as it was found.
type removal struct {
	ForgetRequest // with whole ids, if they are known
	forgotten     []catalog.Forgotten
	whole         []catalog.RecoveryPointID // the same, if they are known
	// known says that all recovery points could be read; then meaning says what the removal means.
	known   bool
	meaning catalog.Removal
}

// look finds the recovery points. With Force it goes on even if it cannot read all of them.
func (u *Upkeep) look(ctx context.Context, points *catalog.Catalog, request ForgetRequest) (*removal, error) {
	named := &removal{ForgetRequest: request}
	found, err := points.Points(ctx)
	if found == nil {
		if request.Force && !request.DryRun && ctx.Err() == nil {
			return named, nil
		}
		return nil, fmt.Errorf("%w; \"stsbackup repair %s\" may mend it, and --force forgets without looking", err, request.StatefulSet)
	}
	// Recovery points that cannot be read are forgotten all the same.
	if named.forgotten, err = catalog.Resolve(found, request.IDs...); err != nil {
		return nil, err
	}
	named.known, named.IDs = true, nil
	for _, point := range named.forgotten {
		named.IDs, named.whole = append(named.IDs, string(point.ID)), append(named.whole, point.ID)
	}
	named.meaning = catalog.RemovalOf(found, named.whole, u.now())
	return named, nil
}

// refusal says why Forget refuses without Force; nil if it does not refuse.
func (r *removal) refusal() error {
	if r.Force || len(r.meaning.Newest) == 0 {
		return nil
	}
	next := "make a new recovery point first, or give --force"
	if r.meaning.Left == 0 {
		next = "without it there is nothing left to restore from; make a new recovery point first, or give --force"
	}
	return &Refusal{
		Object: fmt.Sprintf("recovery point %s of %s", catalog.JoinIDs(r.meaning.Newest), r.StatefulSet),
		Reason: "it is the newest complete one, which a restore would take",
		Next:   next,
	}
}

// confirm asks before a complete recovery point is forgotten, as far as we know that it is complete.
func (u *Upkeep) confirm(ctx context.Context, named *removal) error {
	if named.known && named.meaning.Complete == 0 {
		return nil
	}
	question := Question{
		StatefulSet: named.StatefulSet, Forgotten: named.forgotten, Known: named.known,
		Left: named.meaning.Left, Last: !named.known || named.meaning.Left == 0,
	}
	switch {
	case u.Confirm != nil:
		return u.Confirm(ctx, question)
	case question.Last:
		return &Refusal{
			Object: "recovery points of " + named.StatefulSet.String(),
			Reason: "no complete one may be left",
			Next:   "a person must agree to that",
		}
	default:
		return nil
	}
}

// forgetNamed forgets the named recovery points. Without Force it judges again when nobody else can remove another recovery point.
func (u *Upkeep) forgetNamed(ctx context.Context, points *catalog.Catalog, named *removal) ([]catalog.Forgotten, error) {
	if named.Force {
		return u.forget(ctx, points, func(ctx context.Context) ([]catalog.Forgotten, error) { return points.Forget(ctx, named.IDs...) })
	}
	var refused error
	choose := func(found []catalog.Point) []catalog.RecoveryPointID {
		now := *named
		now.meaning = catalog.RemovalOf(found, named.whole, u.now())
		if refused = now.refusal(); refused != nil {
			return nil
		}
		return named.whole
	}
	forgotten, err := u.forget(ctx, points, func(ctx context.Context) ([]catalog.Forgotten, error) { return points.ForgetChosen(ctx, choose) })
	return forgotten, errors.Join(err, refused)
}

// forget forgets recovery points while nobody else may work.
func (u *Upkeep) forget(ctx context.Context, points *catalog.Catalog,
	forget func(context.Context) ([]catalog.Forgotten, error),
) (forgotten []catalog.Forgotten, err error) {
	err = u.alone(ctx, points, func(ctx context.Context) (err error) {
		forgotten, err = forget(ctx)
		return err
	})
	return forgotten, err
}
