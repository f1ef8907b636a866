package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// followed is a policy file that Policies follows, in the time of a bubble.
type followed struct {
	*Policies
	t   *testing.T
	log strings.Builder
	// mutex protects the next fields: the follower and the test are different goroutines.
	mutex    sync.Mutex
	rejected []string
	opened   []string
	refuse   error
}

const policiesHead = "apiVersion: stsbackup.io/v1\nkind: Policies\nrepository: s3://b\npolicies:\n"

func newFollowed(t *testing.T, path string) *followed {
	t.Helper()
	f := &followed{t: t}
	f.Policies = &Policies{
		Path: path, Now: time.Now, Log: slog.New(slog.NewJSONHandler(&f.log, nil)), Changes: make(chan struct{}, 1),
		Rejected: func(err error) {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			f.rejected = append(f.rejected, err.Error())
		},
		Accept: func(_ context.Context, file *policy.File) (Operations, error) {
			f.mutex.Lock()
			defer f.mutex.Unlock()
			if f.refuse != nil {
				return nil, f.refuse
			}
			f.opened = append(f.opened, file.Repository)
			return &struct{ Operations }{}, nil
		},
	}
	return f
}

func (f *followed) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.Path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// names are the names of the present policies.
func (f *followed) names() string {
	var names []string
	for _, p := range f.Current().File.Policies {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}

// changed reports whether a change was announced since the last call.
func (f *followed) changed() bool {
	select {
	case <-f.Changed():
		return true
	default:
		return false
	}
}

// TestPoliciesFollow: each valid version is taken over; an invalid one is reported once and changes nothing.
func TestPoliciesFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.yaml")
	synctest.Test(t, func(t *testing.T) {
		f := newFollowed(t, path)
		if err := f.Load(t.Context()); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("a file that is not there: %v", err)
		}
		f.write(policiesHead + daily)
		if err := f.Load(t.Context()); err != nil || f.names() != "nightly" {
			t.Fatalf("%v, %v", err, f.names())
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go f.Follow(ctx)
		expect := func(what, names, problem string, changed bool, rejections int) {
			t.Helper()
			elapse(3 * policiesEvery)
			state := f.State()
			f.mutex.Lock()
			defer f.mutex.Unlock()
			if f.names() != names || f.changed() != changed || len(f.rejected) != rejections || time.Since(state.Read) > policiesEvery ||
				!strings.Contains(state.Error, problem) || (problem == "") != (state.Error == "") {
				t.Errorf("%s: %q in force, %d rejected (%q), %+v\n%s", what, f.names(), len(f.rejected), f.rejected, state, f.log.String())
			}
		}
		operations := f.Current().Operations
		expect("nothing", "nightly", "", false, 0)
		f.write(policiesHead + eachMinute + daily)
		expect("another policy", "often nightly", "", true, 0)
		f.write(policiesHead + strings.ReplaceAll(daily, "select", "selct"))
		expect("a slip of the pen", "often nightly", path+`:5: policies[0]: unknown field "selct"; did you mean "select"?`, false, 1)
		expect("the same again", "often nightly", "selct", false, 1)
		f.write(policiesHead + strings.ReplaceAll(daily, "30 2", "99 2"))
		expect("another one", "often nightly", `minute "99"`, false, 2)
		f.write(policiesHead + eachMinute + daily)
		expect("the one before again", "often nightly", "", true, 2)
		expect("nothing more", "often nightly", "", false, 2)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		expect("gone", "often nightly", "no such file", false, 3)
		f.write(policiesHead + daily)
		expect("back", "nightly", "", true, 3)
		if f.Current().Operations != operations || len(f.opened) != 1 {
			t.Errorf("the same repository was opened %d times", len(f.opened))
		}
		f.write(strings.Replace(policiesHead, "s3://b", "s3://c", 1) + daily)
		expect("another repository", "nightly", "", true, 3)
		if f.Current().Operations == operations || len(f.opened) != 2 || f.opened[1] != "s3://c" {
			t.Errorf("opened %q", f.opened)
		}
		f.mutex.Lock()
		f.refuse = errors.New("no password")
		f.mutex.Unlock()
		f.write(strings.Replace(policiesHead, "s3://b", "s3://d", 1) + eachMinute)
		expect("a repository that cannot be opened", "nightly", "no password", false, 4)
	})
}

// TestPoliciesMounted replaces the file as a mount of a ConfigMap does: by a symbolic link to another folder.
func TestPoliciesMounted(t *testing.T) {
	dir := t.TempDir()
	version := func(name, text string) {
		if err := errors.Join(
			os.Mkdir(filepath.Join(dir, name), 0o700), os.WriteFile(filepath.Join(dir, name, "policies.yaml"), []byte(text), 0o600),
			os.Symlink(name, filepath.Join(dir, "..next")), os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")),
		); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", policiesHead+daily)
	if err := os.Symlink("..data/policies.yaml", filepath.Join(dir, "policies.yaml")); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFollowed(t, filepath.Join(dir, "policies.yaml"))
		if err := f.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go f.Follow(ctx)
		version("..2", policiesHead+eachMinute)
		elapse(policiesEvery + time.Second)
		if f.names() != "often" || !f.changed() {
			t.Errorf("%q in force", f.names())
		}
	})
}
