package upkeep

import (
	"context"
	"fmt"
	"slices"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// Choice says which StatefulSets are meant: those of a namespace that have a repository.
type Choice struct {
	// Namespace is the only one to choose from; "" is all.
	Namespace string
	// Selected, if set, finds those of the cluster that are meant; of these only.
	Selected func(ctx context.Context) ([]Candidate, error)
	// Selector is how Selected was chosen, for a message.
	Selector string
}

// Candidate is a StatefulSet of the cluster that is selected.
type Candidate struct {
	catalog.Name
	// PassOver says why it is not meant all the same; "" if it is.
	PassOver string
}

// Chosen is what Choose has found.
type Chosen struct {
	StatefulSets []catalog.Name
	// PassedOver are those that were selected and are not among the StatefulSets.
	PassedOver []Candidate
}

// Choose finds the StatefulSets that are meant and have a repository, whether the cluster still has them or not. None is an
// error that says where they were looked for; why what was selected is passed over is in the result beside it.
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

// among are the candidates that are among those that have a repository.
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

// ofNamespace are the names of a namespace; with "" all.
func ofNamespace(names []catalog.Name, namespace string) []catalog.Name {
	var found []catalog.Name
	for _, name := range names {
		if namespace == "" || name.Namespace == namespace {
			found = append(found, name)
		}
	}
	return found
}
