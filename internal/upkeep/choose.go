package upkeep

import (
	"context"
	"fmt"
	"slices"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// Choice says which StatefulSets the user means, among those with a repository.
type Choice struct {
	// Namespace restricts the choice to one namespace; "" means all.
	Namespace string
	// Selected, if set, returns the StatefulSets of the cluster that the user means; then only these are chosen.
	Selected func(ctx context.Context) ([]Candidate, error)
	// Selector says how Selected selects, for messages.
	Selector string
}

// Candidate is a StatefulSet of the cluster that was selected.
type Candidate struct {
	catalog.Name
	// PassOver says why to pass over it all the same; "" if nothing speaks against it.
	PassOver string
}

// Chosen is the result of Choose.
type Chosen struct {
	StatefulSets []catalog.Name
	// PassedOver are the selected StatefulSets that are not among StatefulSets.
	PassedOver []Candidate
}

// Choose finds the StatefulSets that the user means and that have a repository, whether they still exist in the cluster or not. If
// there are none, the error says where it has looked; the result beside the error says why selected StatefulSets are passed over.
func (u *Upkeep) Choose(ctx context.Context, choice Choice) (Chosen, error) {
	has, err := u.withRepository(ctx, choice.Namespace)
	if err != nil || choice.Selected == nil {
		return Chosen{StatefulSets: has}, err
	}
	candidates, err := choice.Selected(ctx)
	if err != nil {
		return Chosen{}, err
	}
	chosen := among(candidates, has)
	if len(chosen.StatefulSets) == 0 {
		return chosen, fmt.Errorf("%w: none of the StatefulSets with labels %s has a repository below %s to work on (reasons above)",
			repository.ErrNoRepository, choice.Selector, u.Repositories)
	}
	return chosen, nil
}

// among splits the candidates into those that have a repository, and those to pass over.
func among(candidates []Candidate, has []catalog.Name) Chosen {
	var chosen Chosen
	for _, candidate := range candidates {
		if candidate.PassOver == "" && !slices.Contains(has, candidate.Name) {
			candidate.PassOver = "it has never been backed up here"
		}
		if candidate.PassOver != "" {
			chosen.PassedOver = append(chosen.PassedOver, candidate)
			continue
		}
		chosen.StatefulSets = append(chosen.StatefulSets, candidate.Name)
	}
	return chosen
}

// withRepository are the StatefulSets of a namespace that have a repository.
func (u *Upkeep) withRepository(ctx context.Context, namespace string) ([]catalog.Name, error) {
	all, err := u.Repositories.Names(ctx)
	if err != nil {
		return nil, err
	}
	names := ofNamespace(all, namespace)
	switch {
	case len(names) > 0:
		return names, nil
	case len(all) > 0:
		return nil, fmt.Errorf("%w: none of the %d repositories below %s belongs to namespace %s; name another namespace with -n, or "+
			"take all with -A",
			repository.ErrNoRepository, len(all), u.Repositories, namespace)
	default:
		return nil, fmt.Errorf("%w: nothing has been backed up below %s; check --repo", repository.ErrNoRepository, u.Repositories)
	}
}

// ofNamespace are the names in a namespace; with "", all names.
func ofNamespace(names []catalog.Name, namespace string) []catalog.Name {
	var found []catalog.Name
	for _, name := range names {
		if namespace == "" || name.Namespace == namespace {
			found = append(found, name)
		}
	}
	return found
}
