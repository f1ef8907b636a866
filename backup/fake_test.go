package backup

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// fakeRepositories opens repo; without one it says that there is none, or err.
type fakeRepositories struct {
	repo *fakeRepository
	err  error
}

func (f fakeRepositories) Open(context.Context) (Repository, error) {
	switch {
	case f.err != nil:
		return nil, f.err
	case f.repo == nil:
		return nil, repository.ErrNoRepository
	default:
		return f.repo, nil
	}
}

func (f fakeRepositories) OpenOrCreate(ctx context.Context) (Repository, error) { return f.Open(ctx) }

type fakeRepository struct {
	records   []catalog.Record
	listErr   error
	committed []catalog.Record
	manifests map[string][]byte
	locks     []repository.Holder
}

func (f *fakeRepository) Unlock(_ context.Context, gone func(repository.Holder) bool) (removed []repository.Holder, err error) {
	for _, holder := range f.locks {
		if gone(holder) {
			removed = append(removed, holder)
		}
	}
	f.locks = slices.DeleteFunc(f.locks, gone)
	return removed, nil
}

func (f *fakeRepository) List(context.Context) ([]catalog.Record, error) { return f.records, f.listErr }

func (f *fakeRepository) Commit(_ context.Context, record catalog.Record, manifests map[string][]byte) error {
	f.committed, f.manifests = append(f.committed, record), manifests
	return nil
}

// runtimeNames names the objects of a list.
func runtimeNames(list runtime.Object) (names []string, err error) {
	err = meta.EachListItem(list, func(object runtime.Object) error {
		accessor, err := meta.Accessor(object)
		if err == nil {
			names = append(names, fmt.Sprintf("%T %s", object, accessor.GetName()))
		}
		return err
	})
	return names, err
}
