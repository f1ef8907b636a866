package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
)

const (
	repoPassword = repository.Secret("correct horse")
	claim        = "www-web-0"
)

// site is a bucket on a real server, reached directly and through a faulty proxy.
type site struct {
	proxy          *proxy
	direct, faulty *Bucket
}

// newSite makes a site. Nothing there waits longer than patience, and pauses between attempts take no time.
func newSite(t *testing.T, s *server, patience time.Duration) *site {
	t.Helper()
	p, front := newProxy(t, s)
	direct := s.newBucket(t)
	config := direct.config
	config.Endpoint = front.endpoint
	transport := front.transport(t)
	transport.ResponseHeaderTimeout = patience
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return small(dial(ctx, network, address))
	}
	faulty, err := open(config, asRoot, transport)
	if err != nil {
		t.Fatal(err)
	}
	faulty.stall, faulty.small = patience, 2*patience
	faulty.wait = func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }
	return &site{proxy: p, direct: direct, faulty: faulty}
}

// job is the life of one repository.
type job struct {
	t      *testing.T
	bucket storage.Bucket
	repo   *repository.Repository
	pid    int // in its locks
	// source is the volume, expected what each repository snapshot must restore.
	source   string
	expected map[string]map[string]string
}

func newJob(t *testing.T, bucket storage.Bucket, prefix string) *job {
	t.Helper()
	part, err := storage.Sub(bucket, prefix)
	if err != nil {
		t.Fatal(err)
	}
	j := &job{t: t, bucket: part, pid: nobody, source: t.TempDir(), expected: map[string]map[string]string{}}
	for i := range 20 {
		j.write(fmt.Sprintf("folder-%d/file-%d", i%3, i), bytes.Repeat([]byte("line\n"), i*i))
	}
	j.write("kept", noise(500_000))
	j.write("dropped", noise(700_000))
	if err := os.Symlink("kept", filepath.Join(j.source, "link")); err != nil {
		t.Fatal(err)
	}
	return j
}

func noise(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.Read(data) // it never fails
	return data
}

func (j *job) write(name string, data []byte) {
	j.t.Helper()
	path := filepath.Join(j.source, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err = errors.Join(err, os.WriteFile(path, data, 0o644)); err != nil {
		j.t.Fatal(err)
	}
}

// tree reads a directory: path to mode and content.
func (j *job) tree(dir string) map[string]string {
	j.t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if info.Mode().IsRegular() {
			content, err = os.ReadFile(path)
		}
		found[strings.TrimPrefix(path, dir)] = fmt.Sprintf("%s %s %s", info.Mode(), info.ModTime(), content)
		return err
	})
	if err != nil {
		j.t.Fatal(err)
	}
	return found
}

// nobody is the id of a process that does not exist: this job's locks look like those of a dead process.
const nobody = 1 << 30

func (j *job) init(ctx context.Context) (err error) {
	j.repo, err = repository.Init(ctx, j.bucket, repoPassword, repository.Options{PID: j.pid})
	return err
}

func (j *job) open(ctx context.Context) (err error) {
	j.repo, err = repository.Open(ctx, j.bucket, repoPassword, repository.Options{PID: j.pid})
	return err
}

// backup saves the volume as it is.
func (j *job) backup(ctx context.Context) error {
	result, err := archive.Backup(ctx, j.repo, archive.Source{Dir: j.source, Name: claim, Host: "demo/web"}, nil)
	if err == nil && result.ProblemCount > 0 {
		err = fmt.Errorf("problems: %v", result.Problems)
	}
	if err == nil {
		j.expected[result.RepositorySnapshot] = j.tree(j.source)
	}
	return err
}

// restore restores every repository snapshot and compares it with what was saved. Its error is one of the restore.
func (j *job) restore(ctx context.Context) error {
	snapshots, err := j.repo.Snapshots(ctx)
	if err != nil {
		return err
	}
	if len(snapshots) != len(j.expected) {
		j.t.Errorf("%d repository snapshots, want %d", len(snapshots), len(j.expected))
	}
	for _, snapshot := range snapshots {
		dir := j.t.TempDir()
		if _, err := archive.Restore(ctx, j.repo, archive.Target{Snapshot: snapshot, Name: claim, Dir: dir}, nil); err != nil {
			return err
		}
		if !cmp.Equal(j.expected[snapshot.ID.String()], j.tree(dir)) {
			j.t.Errorf("what %s brings back is not what was saved", snapshot.ID.Short())
		}
	}
	return nil
}

// prune forgets the oldest repository snapshot and removes the data that only that one needed.
func (j *job) prune(ctx context.Context) error {
	snapshots, err := j.repo.Snapshots(ctx)
	if err != nil {
		return err
	}
	if len(snapshots) > 1 {
		oldest := snapshots[0].ID
		lock, err := j.repo.LockExclusive(ctx)
		if err != nil {
			return err
		}
		if err := errors.Join(lock.RemoveSnapshots(oldest), lock.Release(ctx)); err != nil {
			return err
		}
		delete(j.expected, oldest.String())
	}
	_, err = j.repo.Prune(ctx, repository.PruneOptions{})
	return err
}

// folders names the folders of the repository, as listing the StatefulSets does for the bucket. The folder locks exists
// only while somebody holds a lock.
func (j *job) folders(ctx context.Context) error {
	found, err := storage.Folders(ctx, j.bucket, "")
	if want := []string{"data", "index", "keys", "snapshots"}; err == nil && !slices.Equal(found, want) {
		j.t.Errorf("folders: %q, want %q", found, want)
	}
	return err
}

// change changes the volume.
func (j *job) change() {
	j.t.Helper()
	if err := os.Remove(filepath.Join(j.source, "dropped")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		j.t.Fatal(err)
	}
	j.write("new", noise(600_000))
}

// steps runs functions in order, up to the first error.
func steps(ctx context.Context, all ...func(context.Context) error) error {
	for _, step := range all {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// life runs through all of it.
func (j *job) life(ctx context.Context) error {
	if err := steps(ctx, j.init, j.backup); err != nil {
		return err
	}
	j.change()
	return steps(ctx, j.open, j.backup, j.restore, j.prune, j.restore, j.folders)
}

// judge has restic check the whole repository, without the proxy, and expects no lock to be left.
func (s *site) judge(t *testing.T, prefix string) {
	t.Helper()
	binary, err := exec.LookPath("restic")
	if err != nil {
		t.Fatal("this test needs the restic program as the judge of the format: apt-get install restic")
	}
	cmd := exec.CommandContext(t.Context(), binary, "--no-cache", "--no-lock", "-q", "-r",
		fmt.Sprintf("s3:%s/%s/%s", s.direct.config.Endpoint, s.direct.config.Bucket, prefix), "check", "--read-data")
	cmd.Env = []string{
		"RESTIC_PASSWORD=" + repoPassword.Reveal(),
		"AWS_ACCESS_KEY_ID=" + rootAccess,
		"AWS_SECRET_ACCESS_KEY=" + rootSecret,
		"HOME=" + t.TempDir(),
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("restic check: %v\n%s", err, out)
	}
	err = s.direct.List(t.Context(), prefix+"/locks/", func(info storage.Info) error {
		t.Errorf("a lock is left: %s", info.Name)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// metByAll demands that each kind of request has met the fault.
func (s *site) metByAll(t *testing.T, name string) {
	t.Helper()
	for _, kind := range []string{
		"PUT keys", "PUT config", "PUT data", "PUT index", "PUT snapshots", "PUT locks", "GET keys", "GET config", "GET data", "GET index",
		"GET snapshots", "GET list", "GET folders", "HEAD config", "DELETE locks", "DELETE data", "DELETE index", "DELETE snapshots",
	} {
		if !slices.Contains(s.proxy.kinds(), kind) {
			t.Errorf("%s: no %s has met it", name, kind)
		}
	}
}

// TestWholeOperationsThroughFaults runs the life of a repository again and again. Each time every request fails in one
// way before it succeeds, and nobody may notice.
func TestWholeOperationsThroughFaults(t *testing.T) {
	// The faults that reach the server run with both servers; the others need only the proxy.
	faults := map[string]fault{"done-but-denied": doneButDenied, "truncated": truncate, "upload-flipped": flipUpload}
	for name, start := range map[string]func(*testing.T) *server{"versitygw": startVersitygw, "minio": startMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liveThrough(t, start(t), faults)
		})
	}
	t.Run("line", func(t *testing.T) {
		t.Parallel()
		liveThrough(t, startVersitygw(t), map[string]fault{"busy": busyServer, "reset": reset, "reset-halfway": resetHalfway, "slow": crawl})
	})
}

func liveThrough(t *testing.T, server *server, faults map[string]fault) {
	t.Helper()
	s := newSite(t, server, 5*time.Second)
	for name, f := range faults {
		s.proxy.meet(f, firstTime)
		if err := newJob(t, s.faulty, name).life(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.metByAll(t, name)
		s.judge(t, name)
	}
}

// TestDeniedHalfway takes away the rights in the middle of each operation, and gives them back for the next.
func TestDeniedHalfway(t *testing.T) {
	t.Parallel()
	s := newSite(t, startMinIO(t), 5*time.Second)
	j := newJob(t, s.faulty, "denied")
	if err := steps(t.Context(), j.init, j.backup); err != nil {
		t.Fatal(err)
	}
	j.change()
	for _, operation := range []struct {
		name string
		run  func(context.Context) error
		kind string // the first denied request; all that follow are denied too
	}{
		{"backup", j.backup, "PUT data"}, {"backup", j.backup, "PUT index"}, {"backup", j.backup, "PUT snapshots"},
		{"restore", j.restore, "GET data"}, {"prune", j.prune, "PUT index"}, {"prune", j.prune, "DELETE data"},
	} {
		j.change()
		over := false
		s.proxy.meet(denied, func(kind string, _ bool) bool {
			over = over || kind == operation.kind
			return over
		})
		err := operation.run(t.Context())
		verb, folder, _ := strings.Cut(operation.kind, " ")
		if !errors.Is(err, storage.ErrPermission) || !strings.Contains(err.Error(), folder+"/") ||
			!strings.Contains(err.Error(), map[string]string{"PUT": actionPut, "GET": actionGet, "DELETE": actionDelete}[verb]) {
			t.Errorf("%s that is denied its %s: %v", operation.name, operation.kind, err)
		}
		s.proxy.meet(nil, nil)
		if err := steps(t.Context(), operation.run, j.restore); err != nil {
			t.Errorf("%s after one that was denied its %s: %v", operation.name, operation.kind, err)
		}
	}
	s.judge(t, "denied")
}
