package upkeep

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

func TestPrune(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.Forget(t.Context(), ForgetRequest{StatefulSet: web(), IDs: w.ids[:2]}); err != nil {
		t.Fatal(err)
	}
	before := w.names("")
	planned, err := w.Prune(t.Context(), PruneRequest{StatefulSet: web(), DryRun: true})
	if err != nil || !planned.DryRun || planned.BytesRemoved == 0 || !cmp.Equal(before, w.names("")) {
		t.Errorf("dry run: %+v, %v", planned, err)
	}
	done, err := w.Prune(t.Context(), PruneRequest{StatefulSet: web()})
	if err != nil || done.DryRun || done.BytesRemoved != planned.BytesRemoved ||
		!cmp.Equal(done.Leftovers, []catalog.RecoveryPointID{catalog.RecoveryPointID(w.dead)}) {
		t.Errorf("%+v, %v", done, err)
	}
	if done.Namespace != "demo" || done.StatefulSet != "web" || len(w.left()) != 3 {
		t.Errorf("%+v; left %q", done, w.left())
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	read := 0
	w.Progress = func(packs, _ int) { read = packs }
	result, err := w.Verify(t.Context(), VerifyRequest{StatefulSet: web(), ReadData: 1})
	if err != nil || len(result.Points) != len(w.ids) || result.Repository.PacksRead == 0 || read != result.Repository.PacksRead {
		t.Errorf("%+v, %v; told of %d packs", result, err, read)
	}
	result, err = w.Verify(t.Context(), VerifyRequest{StatefulSet: web(), RecoveryPoint: w.ids[0]})
	if err != nil || len(result.Points) != 1 || string(result.Points[0].ID) != w.ids[0] {
		t.Errorf("one: %+v, %v", result, err)
	}
	if result, err = w.Verify(t.Context(), VerifyRequest{StatefulSet: web(), RecoveryPoint: "2020"}); result != nil ||
		!errors.Is(err, catalog.ErrNoRecoveryPoint) {
		t.Errorf("one that there is not: %+v, %v", result, err)
	}

	lock := "demo/web/locks/" + strings.Repeat("0f", 32)
	if err := w.bucket.Put(t.Context(), lock, []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	if result, err = w.Verify(t.Context(), VerifyRequest{StatefulSet: web()}); result == nil || !errors.Is(err, ErrLockDamaged) {
		t.Errorf("a damaged lock: %+v, %v", result, err)
	}
	w.damage("demo/web/data/")
	result, err = w.Verify(t.Context(), VerifyRequest{StatefulSet: web()})
	if result == nil || !errors.Is(err, ErrDamaged) || !strings.HasPrefix(err.Error(), "verify demo/web: found damage") {
		t.Errorf("damaged packs: %+v, %v", result, err)
	}
}

// TestPointName is what a verdict is about.
func TestPointName(t *testing.T) {
	t.Parallel()
	if whole, one := pointName(web(), ""), pointName(web(), "20261121"); whole != "demo/web" || one != "demo/web@20261121" {
		t.Errorf("%s, %s", whole, one)
	}
}

func TestRepair(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.damage("demo/web/index/")
	read := 0
	w.Progress = func(packs, _ int) { read = packs }
	before := w.names("")
	report, err := w.Repair(t.Context(), RepairRequest{StatefulSet: web(), DryRun: true})
	if err != nil || report.IndexesDamaged == 0 || report.PacksFound == 0 || !cmp.Equal(before, w.names("")) {
		t.Errorf("dry run: %+v, %v", report, err)
	}
	if report, err = w.Repair(t.Context(), RepairRequest{StatefulSet: web()}); err != nil || report.DryRun || read == 0 {
		t.Errorf("%+v, %v; told of %d packs", report, err, read)
	}
	if _, err := w.Verify(t.Context(), VerifyRequest{StatefulSet: web(), ReadData: 1}); err != nil {
		t.Error(err)
	}
}

func TestUnlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lock("pod-1", "of a mover")
	w.lock("pod-2", "of a mover")
	unlock := func(removed, left int, all bool) {
		t.Helper()
		result, err := w.Unlock(t.Context(), UnlockRequest{StatefulSet: web(), RemoveAll: all})
		if err != nil || len(result.Removed) != removed || len(result.Left) != left {
			t.Errorf("%+v, %v; want %d removed, %d left", result, err, removed, left)
		}
	}
	unlock(0, 2, false)
	w.Movers = gone{unknown: errors.New("no cluster")}
	unlock(0, 2, false)
	if !w.wasTold("Could not check whether the mover that holds the lock still exists: no cluster") {
		t.Errorf("told %q", w.told)
	}
	w.Movers = gone{hosts: "pod-1"}
	unlock(1, 1, false)
	unlock(1, 0, true)
	unlock(0, 0, true)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	added, err := w.AddKey(t.Context(), AddKeyRequest{StatefulSet: web(), Password: "new root", IsRoot: true})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := w.Keys(t.Context(), web())
	if err != nil || len(keys) != 2 {
		t.Fatalf("%+v, %v", keys, err)
	}
	for _, key := range []string{"xyz", ""} {
		if _, err := w.RemoveKey(t.Context(), RemoveKeyRequest{StatefulSet: web(), Key: key}); !errors.Is(err, repository.ErrNoKey) {
			t.Errorf("remove %q: %v", key, err)
		}
	}
	next := &Upkeep{Repositories: location.NewRoot("", w.bucket, "new root")}
	for _, key := range keys {
		id := key.ID
		if id == added {
			continue
		}
		if removed, err := next.RemoveKey(t.Context(), RemoveKeyRequest{StatefulSet: web(), Key: id.Short()}); err != nil || removed != id {
			t.Errorf("remove %s: %s, %v", id, removed, err)
		}
	}
	if _, err := w.Keys(t.Context(), web()); !errors.Is(err, repository.ErrWrongPassword) {
		t.Errorf("with the old password: %v", err)
	}
}
