package s3

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"github.com/stsbackup/stsbackup/storage/limit"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestObjectLock uses a repository in a bucket whose objects nobody can change or destroy for a day.
func TestObjectLock(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	bucket := s.open(t, s.config("locked"), asRoot)
	ctx := t.Context()
	days, unit, mode := uint(1), minio.Days, minio.Compliance
	err := bucket.try(ctx, call{verb: "make"}, func(ctx context.Context) error {
		return bucket.client.MakeBucket(ctx, "locked", minio.MakeBucketOptions{ObjectLocking: true})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.client.SetObjectLockConfig(ctx, "locked", &mode, &days, &unit); err != nil {
		t.Fatal(err)
	}
	// With as few connections as allowed: nothing may wait for itself.
	j := newJob(t, limit.New(bucket, limit.Limits{Connections: limit.MinConnections}), "repo")
	if err := steps(ctx, j.init, j.backup); err != nil {
		t.Fatal(err)
	}
	j.change()
	if err := j.backup(ctx); err != nil {
		t.Fatal(err)
	}
	wantRemoved(t, bucket, "locks")
	if err := steps(ctx, j.prune, j.changePassword, j.backup, j.restore, j.check); err != nil {
		t.Fatal(err)
	}
	wantRemoved(t, bucket, "data", "index", "keys", "locks", "snapshots")
}

// wantRemoved demands that every object was written once and is still kept, and that exactly these folders have removed
// objects.
func wantRemoved(t *testing.T, bucket *Bucket, want ...string) {
	t.Helper()
	written, removed := map[string]int{}, map[string]bool{}
	options := minio.ListObjectsOptions{Recursive: true, WithVersions: true}
	for object := range bucket.client.ListObjectsIter(t.Context(), bucket.config.Bucket, options) {
		if object.Err != nil {
			t.Fatal(object.Err)
		}
		if object.IsDeleteMarker {
			folder, _, _ := strings.Cut(strings.TrimPrefix(object.Key, "repo/"), "/")
			removed[folder] = true
			continue
		}
		written[object.Key]++
		mode, _, err := bucket.client.GetObjectRetention(t.Context(), bucket.config.Bucket, object.Key, object.VersionID)
		if err != nil || *mode != minio.Compliance || written[object.Key] > 1 {
			t.Errorf("%s was written %d times; %v", object.Key, written[object.Key], err)
		}
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(removed))); diff != "" || len(written) < 8 {
		t.Errorf("%d objects; removed from (-want +got):\n%s", len(written), diff)
	}
}

// check reads everything.
func (j *job) check(ctx context.Context) error {
	report, err := j.repo.Check(ctx, repository.CheckOptions{ReadData: 1})
	if err == nil && len(report.Problems) > 0 {
		err = fmt.Errorf("problems: %v", report.Problems)
	}
	return err
}

// changePassword replaces the key that opens the repository.
func (j *job) changePassword(ctx context.Context) error {
	old, err := j.repo.Keys(ctx)
	if err != nil {
		return err
	}
	const second = repository.Secret("another password")
	if _, err := j.repo.AddKey(ctx, second); err != nil {
		return err
	}
	if j.repo, err = repository.Open(ctx, j.bucket, second, repository.Options{PID: j.pid}); err != nil {
		return err
	}
	return j.repo.RemoveKey(ctx, old[0].ID)
}

// TestTwoWritersOutOfOrder simulates two processes that save volumes with mostly the same bytes into one repository,
// over a line that delivers packs out of order, and everything except locks a second time, later.
func TestTwoWritersOutOfOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t, startMinIO(t), 10*time.Second)
	first, second := newJob(t, s.faulty, "writers"), newJob(t, s.faulty, "writers")
	shared := noise(26 << 20) // several packs
	for i, j := range []*job{first, second} {
		j.pid = os.Getpid() // each must respect the other's lock
		j.write("shared", shared)
		j.write("own", noise(i+1<<20))
	}
	if err := first.init(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	mail := &mail{}
	s.proxy.meet(mail.deliver, func(kind string, _ bool) bool {
		return strings.HasPrefix(kind, "PUT") && kind != "PUT locks"
	})
	failed := make(chan error, 2)
	for _, j := range []*job{first, second} {
		go func() { failed <- j.backup(t.Context()) }()
	}
	for range 2 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	s.proxy.meet(nil, nil)
	if late, swapped := mail.deliverAgain(s.proxy); late < 8 || swapped == 0 {
		t.Errorf("%d objects came twice, %d packs out of order: there is nothing to be seen", late, swapped)
	}
	for id, tree := range second.expected {
		first.expected[id] = tree
	}
	if err := steps(t.Context(), first.open, first.restore, first.prune, first.restore); err != nil {
		t.Error(err)
	}
	s.judge(t, "writers")
}
