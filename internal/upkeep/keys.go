package upkeep

import (
	"context"
	"fmt"
	"strings"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// Keys are the keys of a StatefulSet's repository: one for each password that opens it.
func (u *Upkeep) Keys(ctx context.Context, of catalog.Name) ([]repository.KeyInfo, error) {
	points, err := u.Repositories.Open(ctx, of)
	if err != nil {
		return nil, err
	}
	return points.Repository().Keys(ctx)
}

// AddKeyRequest asks for another password to open a repository.
type AddKeyRequest struct {
	StatefulSet catalog.Name
	// Password is the new password of this repository or, with IsRoot, the root password from which to derive it.
	Password repository.Secret
	IsRoot   bool
}

// AddKey adds a key, so that another password opens the repository. It returns the new key.
func (u *Upkeep) AddKey(ctx context.Context, request AddKeyRequest) (repository.ID, error) {
	of := request.StatefulSet
	points, err := u.Repositories.Open(ctx, of)
	if err != nil {
		return repository.ID{}, err
	}
	password := request.Password
	if request.IsRoot {
		password = catalog.Password(password, of.Namespace, of.StatefulSet)
	}
	u.tellOfLocks(points)
	return points.Repository().AddKey(ctx, password)
}

// RemoveKeyRequest asks to remove a key.
type RemoveKeyRequest struct {
	StatefulSet catalog.Name
	// Key is the whole id of the key, or the unambiguous beginning of it.
	Key string
}

// RemoveKey removes a key, so that its password no longer opens the repository. It returns the removed key.
func (u *Upkeep) RemoveKey(ctx context.Context, request RemoveKeyRequest) (repository.ID, error) {
	points, err := u.open(ctx, request.StatefulSet)
	if err != nil {
		return repository.ID{}, err
	}
	id, err := findKey(ctx, points.Repository(), request.Key)
	if err != nil {
		return repository.ID{}, err
	}
	return id, u.alone(ctx, points, func(ctx context.Context) error { return points.Repository().RemoveKey(ctx, id) })
}

// findKey is the key whose id begins with prefix.
func findKey(ctx context.Context, repo *repository.Repository, prefix string) (repository.ID, error) {
	keys, err := repo.Keys(ctx)
	if err != nil {
		return repository.ID{}, err
	}
	var found []repository.ID
	for _, key := range keys {
		if strings.HasPrefix(key.ID.String(), prefix) && prefix != "" {
			found = append(found, key.ID)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return repository.ID{}, fmt.Errorf("%w: no key of %s begins with %.80q; \"stsbackup key list\" shows the keys",
			repository.ErrNoKey, repo, prefix)
	}
	return repository.ID{}, fmt.Errorf("%w: %d keys of %s begin with %.80q; give more characters of the one that you mean",
		repository.ErrNoKey, len(found), repo, prefix)
}
