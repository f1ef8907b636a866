package location

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

func TestRoot(t *testing.T) {
	t.Parallel()
	config := Config{URL: "file://" + t.TempDir() + "/root", Create: true, Getenv: with(nil)}
	root, err := Open(config, "root password")
	if err != nil {
		t.Fatal(err)
	}
	web := catalog.Name{Namespace: "demo", StatefulSet: "web"}
	if _, err := root.Open(t.Context(), web); !errors.Is(err, repository.ErrNoRepository) {
		t.Errorf("open what is not there: %v", err)
	}
	if _, err := root.OpenOrCreate(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	if names, err := root.Names(t.Context()); err != nil || !cmp.Equal(names, []catalog.Name{web}) {
		t.Errorf("below the root are %v, %v", names, err)
	}
	config.Create = false
	again, err := Open(config, "another password")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Open(t.Context(), web); !errors.Is(err, repository.ErrWrongPassword) {
		t.Errorf("open with another root password: %v", err)
	}
	own := again.Password(web)
	if own == root.Password(web) || own == again.Password(catalog.Name{Namespace: "demo", StatefulSet: "db"}) {
		t.Error("two repositories have the same password")
	}
}

// TestRootIsNamedWithoutParameters: a message shows the place alone.
func TestRootIsNamedWithoutParameters(t *testing.T) {
	t.Parallel()
	url := "s3://bucket/team?endpoint=https://s3.example.com"
	root := NewRoot(url, nil, "")
	if root.String() != "s3://bucket/team" || root.URL() != url {
		t.Errorf("%s is called %s", root.URL(), root)
	}
}
