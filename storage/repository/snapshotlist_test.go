package repository

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// readers are the ways to read all repository snapshots. Each says how many it has found.
func readers() map[string]func(context.Context, *Repository) (int, error) {
	return map[string]func(context.Context, *Repository) (int, error){
		"list": func(ctx context.Context, repo *Repository) (int, error) {
			snapshots, err := repo.Snapshots(ctx)
			return len(snapshots), err
		},
		"check": func(ctx context.Context, repo *Repository) (int, error) {
			report, err := repo.Check(ctx, CheckOptions{})
			if len(report.Problems) > 0 {
				err = errors.Join(err, errors.New(report.Problems[0].Object+": "+report.Problems[0].Reason))
			}
			return report.Snapshots - len(report.Damaged), err
		},
		"repair": func(ctx context.Context, repo *Repository) (int, error) {
			report, err := repo.Repair(ctx, RepairOptions{DryRun: true})
			return 2 - len(report.SnapshotsDamaged), err
		},
	}
}

// TestNoSingleListingIsBelieved: a repository snapshot whose name arrives wrong in one of the listings, or not at all,
// is found all the same, and nothing else is.
func TestNoSingleListingIsBelieved(t *testing.T) {
	memory, _ := small(t)
	for name, read := range readers() {
		for _, at := range []int{1, 2} {
			for _, wrong := range []string{"", "snapshots/no-id", "rnapshots/" + Hash(nil).String(), kindSnapshot.name(Hash([]byte("nothing")))} {
				bucket := &mislisting{Memory: memory, prefix: kindSnapshot.prefix(), wrong: wrong, at: at}
				repo := reopen(t, bucket)
				if n, err := read(t.Context(), repo); err != nil || n != 2 || bucket.listed != 2 {
					t.Errorf("%s with %q in listing %d: %d of 2 repository snapshots, %v, %d listings", name, wrong, at, n, err, bucket.listed)
				}
			}
		}
	}
}

// TestForgottenSinceListed: nobody misses a repository snapshot that was forgotten while it was being read.
func TestForgottenSinceListed(t *testing.T) {
	for name, read := range readers() {
		if name == "repair" {
			continue // it counts damaged ones, and there are none
		}
		memory, volumes := small(t)
		victim := kindSnapshot.name(firstOf(volumes))
		bucket := &forgetful{Memory: memory, victim: victim}
		if n, err := read(t.Context(), reopen(t, bucket)); err != nil || n != 1 {
			t.Errorf("%s: %d repository snapshots, %v; want the one that is left", name, n, err)
		}
	}
}

func firstOf(volumes map[ID]volume) ID {
	for id := range volumes {
		return id
	}
	return ID{}
}

// forgetful is a Bucket that removes one object as soon as somebody has listed it.
type forgetful struct {
	*storagetest.Memory
	victim string
}

func (f *forgetful) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	err := f.Memory.List(ctx, prefix, fn)
	if strings.HasPrefix(f.victim, prefix) {
		err = errors.Join(err, f.Delete(ctx, f.victim))
	}
	return err
}

// TestListedForGoodButNotThere: if a bucket keeps listing an object that it does not have, nobody believes that the
// object was forgotten.
func TestListedForGoodButNotThere(t *testing.T) {
	memory, _ := small(t)
	ghost := kindSnapshot.name(Hash([]byte("nothing")))
	for name, read := range readers() {
		n, err := read(t.Context(), reopen(t, &haunted{memory, ghost}))
		if err == nil || !strings.Contains(err.Error(), ghost) || name != "repair" && n != 2 {
			t.Errorf("%s: %d repository snapshots, %v; want 2, and an error that names %s", name, n, err, ghost)
		}
	}
}

// haunted is a Bucket that lists an object which it does not have.
type haunted struct {
	*storagetest.Memory
	ghost string
}

func (h *haunted) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	if err := h.Memory.List(ctx, prefix, fn); err != nil || !strings.HasPrefix(h.ghost, prefix) {
		return err
	}
	return fn(storage.Info{Name: h.ghost, Size: 100})
}

// TestVerdictOnNoSingleListing: a single listing with a wrong or missing name never makes a whole repository look
// damaged.
func TestVerdictOnNoSingleListing(t *testing.T) {
	memory, _ := small(t)
	for _, k := range []kind{kindIndex, kindData} {
		for _, name := range list(t, memory, k.prefix()) {
			for _, wrong := range []string{"", k.prefix() + "no-id", k.name(Hash([]byte("nothing")))} {
				for at := range 3 { // 0: none
					bucket := &mislisting{Memory: memory, prefix: k.prefix(), name: name, wrong: wrong, at: at}
					report, err := reopen(t, bucket).Check(t.Context(), CheckOptions{})
					if err != nil || len(report.Problems) > 0 || report.Unindexed > 0 || report.Packs != 6 || bucket.listed < at && k == kindIndex {
						t.Errorf("%s listed as %q, the time %d: %+v, %v", name, wrong, at, report, err)
					}
				}
			}
		}
		ghost := k.name(Hash([]byte("nothing")))
		report, err := reopen(t, &haunted{memory, ghost}).Check(t.Context(), CheckOptions{})
		if err != nil || k == kindIndex && (len(report.Problems) != 1 || report.Problems[0].Object != ghost) ||
			k == kindData && report.Unindexed != 1 {
			t.Errorf("%s, which is not there, always: %+v, %v", ghost, report, err)
		}
	}
}
