//go:build e2e

package e2e

import (
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestForgetAndPrune removes old recovery points, although a mover that is gone has left its lock.
func TestForgetAndPrune(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "prune")
	s.apply(workload{name: "web", replicas: 2}.manifest(), "web")
	name := s.Namespace + "/web"
	old := s.record(s.run(0, nil, "backup", name, "--limit-upload", "4096", "--compression", "fast", "-o", "json"))
	kept := s.record(s.run(0, nil, "backup", name, "-o", "json"))

	s.deadMoversLock("web")
	s.run(
		0,
		[]string{"Removed the lock of a dead mover", string(old.ID), "no rule keeps it", "newest complete"},
		"forget",
		name,
		"--keep-last",
		"1",
	)
	s.run(0, nil, "prune", name)
	s.run(4, []string{string(old.ID)}, "show", name+"@"+string(old.ID))
	s.run(0, nil, "verify", name, "--read-data")
	for _, volume := range kept.Volumes {
		if text := s.dump("web", volume.RepositorySnapshot, volume.Claim+"/private/key"); text != "secret" {
			t.Errorf("claim %s has %q after pruning", volume.Claim, text)
		}
	}
	check, err := s.StockRestic(s.ctx, "web", "check", "--read-data")
	if err != nil || check.Code != 0 {
		t.Errorf("stock restic finds fault: %v\n%s", err, check)
	}
	s.nothingBehind()
}

// deadMoversLock locks the repository as two movers do whose pods are gone by now: one worked for the StatefulSet, and
// one restored to another.
func (s *scenario) deadMoversLock(statefulSet string) {
	s.t.Helper()
	root, secret := s.repository(statefulSet)
	bucket, err := storage.Sub(root, s.Namespace+"/"+statefulSet)
	if err != nil {
		s.t.Fatal(err)
	}
	uid := s.kubectl("get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}")
	for _, op := range []cluster.Operation{
		{ID: "20261121T081200Z-3fa9", Namespace: s.Namespace, StatefulSet: statefulSet},
		{ID: "20261121T081200Z-3faa", Namespace: "default", StatefulSet: statefulSet},
	} {
		repo, err := repository.Open(
			s.ctx,
			bucket,
			secret,
			repository.Options{Hostname: op.VolumeName(0, "data") + "-x7k2p", Operation: op.MoverMark(uid)},
		)
		if err != nil {
			s.t.Fatal(err)
		}
		lock, err := repo.Lock(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = lock.Release(s.ctx) }) // it has been removed
	}
}
