package upkeep

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// named are repositories that are only asked for their names.
type named []catalog.Name

func (n named) Names(context.Context) ([]catalog.Name, error) { return n, nil }
func (n named) String() string                                { return "s3://bucket" }
func (n named) Open(context.Context, catalog.Name) (*catalog.Catalog, error) {
	return nil, errors.New("nobody opens them")
}

func TestChoose(t *testing.T) {
	t.Parallel()
	db, cache := catalog.Name{Namespace: "other", StatefulSet: "db"}, catalog.Name{Namespace: "demo", StatefulSet: "cache"}
	both := named{web(), db}
	away := errors.New("no cluster")
	selected := func(candidates ...Candidate) func(context.Context) ([]Candidate, error) {
		return func(context.Context) ([]Candidate, error) { return candidates, nil }
	}
	for name, tt := range map[string]struct {
		has    named
		choice Choice
		want   []catalog.Name
		passed map[string]string
		err    error
		says   string
	}{
		"all":               {has: both, want: both},
		"that begins alike": {has: both, choice: Choice{Namespace: "othe"}, err: repository.ErrNoRepository, says: "belongs to namespace othe;"},
		"of a namespace":    {has: both, choice: Choice{Namespace: "other"}, want: named{db}},
		"of an empty one": {
			has: both, choice: Choice{Namespace: "empty"}, err: repository.ErrNoRepository,
			says: "none of the 2 repositories below s3://bucket belongs to namespace empty",
		},
		"of nothing": {err: repository.ErrNoRepository, says: "nothing has been backed up below s3://bucket"},
		"selected":   {has: both, choice: Choice{Selected: selected(Candidate{Name: db})}, want: named{db}},
		"selected, the other": {
			has: both, choice: Choice{Namespace: "demo", Selected: selected(Candidate{Name: db})}, err: repository.ErrNoRepository,
			passed: map[string]string{"other/db": "it has never been backed up here"},
		},
		"passed over": {
			has: both, choice: Choice{Selected: selected(
				Candidate{Name: db, PassOver: "it says so"}, Candidate{Name: cache}, Candidate{Name: web()},
			)},
			want: named{web()}, passed: map[string]string{"other/db": "it says so", "demo/cache": "it has never been backed up here"},
		},
		"none is left": {
			has: both, choice: Choice{Selector: "tier=db", Selected: selected(Candidate{Name: cache})}, err: repository.ErrNoRepository,
			says:   "with labels tier=db has a repository below s3://bucket",
			passed: map[string]string{"demo/cache": "it has never been backed up here"},
		},
		"no cluster": {
			has: both, choice: Choice{Selected: func(context.Context) ([]Candidate, error) { return nil, away }}, err: away,
		},
	} {
		chosen, err := (&Upkeep{Repositories: tt.has}).Choose(t.Context(), tt.choice)
		if !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
		var passed map[string]string
		for _, candidate := range chosen.PassedOver {
			if passed == nil {
				passed = map[string]string{}
			}
			passed[candidate.String()] = candidate.PassOver
		}
		if diff := cmp.Diff(tt.want, chosen.StatefulSets) + cmp.Diff(tt.passed, passed); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	listings, err := w.List(t.Context(), ListRequest{})
	if err != nil || len(listings) != 1 || listings[0].StatefulSet != web() || listings[0].Err != nil ||
		len(listings[0].Records) != len(w.ids) {
		t.Errorf("all: %+v, %v", listings, err)
	}
	if listings, err = w.List(t.Context(), ListRequest{Namespace: "other"}); err != nil || len(listings) != 0 {
		t.Errorf("of another namespace: %+v, %v", listings, err)
	}
	none := catalog.Name{Namespace: "demo", StatefulSet: "none"}
	listings, err = w.List(t.Context(), ListRequest{StatefulSets: []catalog.Name{none, web()}})
	if err != nil || len(listings) != 2 || !errors.Is(listings[0].Err, repository.ErrNoRepository) || len(listings[1].Records) != len(w.ids) {
		t.Errorf("one that there is not, and one that there is: %+v, %v", listings, err)
	}
}
