package catalog

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

var started = time.Date(2026, 11, 21, 8, 12, 0, 0, time.UTC)

// world is a catalog in memory.
type world struct {
	*Catalog
	bucket *storagetest.Memory
}

func newWorld(t *testing.T) world {
	t.Helper()
	bucket := storagetest.NewMemory()
	c, err := OpenOrCreate(t.Context(), bucket, "demo", "web", Password("root", "demo", "web"))
	if err != nil {
		t.Fatal(err)
	}
	return world{Catalog: c, bucket: bucket}
}

// saveVolume writes an empty volume and returns the id of its repository snapshot.
func (w world) saveVolume(t *testing.T, claim, point string, at time.Time) string {
	t.Helper()
	ctx := t.Context()
	writer, err := w.Repository().NewWriter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := writer.SaveBlob(ctx, repository.TreeBlob, new(treeblob.Encoder).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Flush(); err != nil {
		t.Fatal(err)
	}
	tags := []string{TagStsbackup, TagClaim + "=" + claim}
	if point != "" {
		tags = append(tags, TagRecoveryPoint+"="+point)
	}
	id, _, err := w.Repository().SaveSnapshot(ctx, repository.Snapshot{
		Time: at, Tree: &tree, Paths: []string{"/" + claim}, Hostname: w.Host(), Tags: tags,
	})
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// record makes a record with one volume whose data exists.
func (w world) record(t *testing.T, suffix string, at time.Time, state State) Record {
	t.Helper()
	id := at.UTC().Format(idTime) + "-" + suffix
	r := Record{
		ID: RecoveryPointID(id), State: state, Cluster: "cluster-a", Namespace: "demo", StatefulSet: "web",
		Started: at, Finished: at.Add(time.Minute), Replicas: 1, Tool: "test",
		Volumes: []Volume{{
			Template: "www", Claim: "www-web-0", Capture: CaptureSnapshot, Cut: at.Add(10 * time.Second), Mode: "Filesystem",
			RepositorySnapshot: w.saveVolume(t, "www-web-0", id, at),
		}},
	}
	if state == StateIncomplete {
		r.Volumes = append(r.Volumes, Volume{Ordinal: 1, Claim: "www-web-1", Error: "the mover failed"})
	}
	return r
}

func (w world) commit(t *testing.T, r Record) Record {
	t.Helper()
	if err := w.Commit(t.Context(), r, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCommitAndRead(t *testing.T) {
	w := newWorld(t)
	want := w.record(t, "3fa9", started, StateComplete)
	manifests := map[string][]byte{"StatefulSet-web.yaml": []byte("kind: StatefulSet\n"), "../rbac:x": []byte("x"), "empty.yaml": {}}
	if err := w.Commit(t.Context(), want, manifests); err != nil {
		t.Fatal(err)
	}

	// Another process, which has only the bucket and the password, must see the same.
	again, err := Open(t.Context(), w.bucket, "demo", "web", Password("root", "demo", "web"))
	if err != nil {
		t.Fatal(err)
	}
	records, err := again.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want.Version = RecordVersion
	if diff := cmp.Diff([]Record{want}, records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	got, err := again.Manifests(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantFiles := map[string][]byte{"StatefulSet-web.yaml": []byte("kind: StatefulSet\n"), ".._rbac_x": []byte("x"), "empty.yaml": nil}
	if diff := cmp.Diff(wantFiles, got); diff != "" {
		t.Errorf("manifests (-want +got):\n%s", diff)
	}
	if _, err := again.Manifests(t.Context(), "20200101T000000Z-0000"); !errors.Is(err, ErrNoRecoveryPoint) {
		t.Errorf("manifests of an unknown recovery point: %v, want ErrNoRecoveryPoint", err)
	}
	if n := count(t, w.bucket, "demo/web/locks/"); n != 0 {
		t.Errorf("%d locks are left", n)
	}
}

func TestCommitRefusesMissingData(t *testing.T) {
	w := newWorld(t)
	r := w.record(t, "3fa9", started, StateComplete)
	r.Volumes[0].RepositorySnapshot = strings.Repeat("ab", 32)
	if err := w.Commit(t.Context(), r, nil); !errors.Is(err, repository.ErrNoSnapshot) {
		t.Errorf("commit of a record without its data: %v, want ErrNoSnapshot", err)
	}
	r.Volumes[0].RepositorySnapshot = w.saveVolume(t, "www-web-1", string(r.ID), started)
	if err := w.Commit(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), "www-web-1") {
		t.Errorf("commit of a record with the data of another claim: %v, want an error that names it", err)
	}
	if records, err := w.List(t.Context()); err != nil || len(records) != 0 {
		t.Errorf("after refused commits: %d records, %v; want none", len(records), err)
	}
}

func TestCommitRefusesSecondOfSameID(t *testing.T) {
	w := newWorld(t)
	r := w.commit(t, w.record(t, "3fa9", started, StateComplete))
	if err := w.Commit(t.Context(), r, nil); !errors.Is(err, ErrExists) {
		t.Errorf("second commit: %v, want ErrExists", err)
	}
}

func TestFind(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Find(t.Context(), ""); !errors.Is(err, ErrNoRecoveryPoint) {
		t.Errorf("find in an empty catalog: %v, want ErrNoRecoveryPoint", err)
	}
	first := w.commit(t, w.record(t, "0001", started, StateComplete))
	second := w.commit(t, w.record(t, "0002", started.Add(time.Hour), StateComplete))
	broken := w.commit(t, w.record(t, "0003", started.Add(2*time.Hour), StateIncomplete))
	tests := []struct {
		ref  string
		want RecoveryPointID
		err  error
	}{
		{ref: "", want: second.ID},
		{ref: "latest", want: second.ID},
		{ref: string(first.ID), want: first.ID},
		{ref: "20261121T0812", want: first.ID},
		{ref: string(broken.ID), want: broken.ID},
		{ref: "20261121T10", want: broken.ID},
		{ref: "20261121", err: ErrAmbiguous},
		{ref: "2025", err: ErrNoRecoveryPoint},
		{ref: started.Add(10 * time.Second).Format(time.RFC3339), want: first.ID},
		{ref: started.Add(9 * time.Second).Format(time.RFC3339), err: ErrNoRecoveryPoint},
		{ref: started.Add(5 * time.Hour).In(time.FixedZone("", 3600)).Format(time.RFC3339), want: second.ID},
	}
	for _, tt := range tests {
		got, err := w.Find(t.Context(), tt.ref)
		if got.ID != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("Find(%q) = %q, %v; want %q, %v", tt.ref, got.ID, err, tt.want, tt.err)
		}
		if tt.err != nil && !strings.Contains(err.Error(), string(second.ID)) {
			t.Errorf("Find(%q): %q does not list the recovery points there are", tt.ref, err)
		}
	}
}

// Ids of earlier versions are shorter, and may be the beginning of a longer one.
func TestIDsOfEarlierVersions(t *testing.T) {
	w := newWorld(t)
	short := w.commit(t, w.record(t, "3fa9", started, StateComplete))
	long := w.commit(t, w.record(t, "3fa91c07", started, StateComplete))
	for ref, want := range map[string]RecoveryPointID{
		string(short.ID): short.ID, string(long.ID): long.ID, "20261121T081200Z-3fa91": long.ID, "20261121T081200Z-3fa": "",
		"latest": long.ID,
	} {
		got, err := w.Find(t.Context(), ref)
		if got.ID != want || (want == "") != errors.Is(err, ErrAmbiguous) {
			t.Errorf("Find(%q) = %q, %v; want %q", ref, got.ID, err, want)
		}
	}
	forgotten, err := w.Forget(t.Context(), string(short.ID))
	if err != nil || len(forgotten) != 1 || forgotten[0].ID != short.ID {
		t.Errorf("forgot %+v, %v; want %s alone", forgotten, err, short.ID)
	}
}

func TestFindVolume(t *testing.T) {
	w := newWorld(t)
	recorded := w.commit(t, w.record(t, "0001", started, StateComplete))
	w.saveVolume(t, "www-web-0", "20261121T091200Z-dead", started.Add(time.Hour)) // its backup was interrupted
	got, err := w.FindVolume(t.Context(), "", "www-web-0")
	if err != nil || got.ID.String() != recorded.Volumes[0].RepositorySnapshot {
		t.Errorf("newest of the claim: %s, %v; want the recorded one", got.ID, err)
	}
	single := w.saveVolume(t, "www-web-0", "", started.Add(2*time.Hour))
	if got, err = w.FindVolume(t.Context(), "", "www-web-0"); err != nil || got.ID.String() != single {
		t.Errorf("newest of the claim: %s, %v; want the one-off %s", got.ID, err, single)
	}
	if got, err = w.FindVolume(t.Context(), "latest", "www-web-0"); err != nil || got.ID.String() != recorded.Volumes[0].RepositorySnapshot {
		t.Errorf("of the latest recovery point: %s, %v; want the recorded one", got.ID, err)
	}
	// An incomplete recovery point is used only if its id was given.
	half := w.commit(t, w.record(t, "0002", started.Add(3*time.Hour), StateIncomplete))
	if got, err = w.FindVolume(t.Context(), "", "www-web-0"); err != nil || got.ID.String() != single {
		t.Errorf("newest of the claim: %s, %v; want the one-off %s, and not that of an incomplete recovery point", got.ID, err, single)
	}
	got, err = w.FindVolume(t.Context(), string(half.ID), "www-web-0")
	if err != nil || got.ID.String() != half.Volumes[0].RepositorySnapshot {
		t.Errorf("of the incomplete recovery point: %s, %v", got.ID, err)
	}
	for _, ref := range []string{"", "latest"} {
		if _, err := w.FindVolume(t.Context(), ref, "www-web-9"); !errors.Is(err, ErrNoRecoveryPoint) {
			t.Errorf("FindVolume(%q) of an unknown claim: %v, want ErrNoRecoveryPoint", ref, err)
		}
	}
}

// TestFindVolumeOnlyIncomplete: if there is only an incomplete recovery point, the error names its id.
func TestFindVolumeOnlyIncomplete(t *testing.T) {
	w := newWorld(t)
	half := w.commit(t, w.record(t, "0001", started, StateIncomplete))
	_, err := w.FindVolume(t.Context(), "", "www-web-0")
	if !errors.Is(err, ErrNoRecoveryPoint) || !strings.Contains(err.Error(), string(half.ID)) {
		t.Errorf("%v; want ErrNoRecoveryPoint and the id", err)
	}
}

func TestListNamesUnreadableRecord(t *testing.T) {
	w := newWorld(t)
	good := w.commit(t, w.record(t, "0001", started, StateComplete))
	before := names(t, w.bucket, "demo/web/snapshots/")
	w.commit(t, w.record(t, "0002", started.Add(time.Hour), StateComplete))
	var damaged []string
	for name := range names(t, w.bucket, "demo/web/snapshots/") {
		if before[name] {
			continue
		}
		data := read(t, w.bucket, name)
		data[len(data)/2] ^= 1
		if err := w.bucket.Put(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		damaged = append(damaged, strings.TrimPrefix(name, "demo/web/"))
	}
	if len(damaged) != 2 { // the volume's and the record's
		t.Fatalf("damaged %v", damaged)
	}
	records, err := w.List(t.Context())
	if err == nil || len(records) != 1 || records[0].ID != good.ID {
		t.Fatalf("list = %d records, %v; want the good one and an error", len(records), err)
	}
	for _, name := range damaged {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("list: %v does not name the damaged %s", err, name)
		}
	}
	if _, err := w.Find(t.Context(), "latest"); err == nil {
		t.Error("find latest succeeded although the newest record cannot be read")
	}
	if got, err := w.Find(t.Context(), string(good.ID)); err != nil || got.ID != good.ID {
		t.Errorf("find the good one by its id: %v", err)
	}
}

func TestDecodeRecordIsStrict(t *testing.T) {
	tests := map[string]string{
		`{"version":4,"id":"20261121T081200Z-3fa9","anything":1}`:                    "later stsbackup",
		`{"version":1,"id":"20261121T081200Z-3fa9","state":"complete","surprise":1}`: "surprise",
		`{"version":1,"id":"20261121T081200Z-3fa9","state":"perhaps"}`:               "perhaps",
		`{"version":1,"id":"../../etc","state":"complete"}`:                          "../../etc",
		`{"version":1,"id":"20261121T081200Z-3fa9","state":"complete"} {}`:           "after top-level value",
		`{"version":0}`: "version 0",
		`[]`:            "decode",
		`{"version":1,"id":"20261121T081200Z-3fa9","state":"complete","volumes":[{}]}`: "neither",
	}
	earlier := `{"version":1,"id":"20261121T081200Z-3fa9","state":"complete"}`
	if record, err := decodeRecord([]byte(earlier)); err != nil || record.Version != 1 {
		t.Errorf("a record of an earlier version: %+v, %v", record, err)
	}
	for in, want := range tests {
		if _, err := decodeRecord([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("decode %s: %v, want an error with %q", in, err, want)
		}
	}
}

func TestCheckCluster(t *testing.T) {
	a := Record{ID: "20261121T081200Z-0001", Cluster: "a"}
	b := Record{ID: "20261121T091200Z-0002", Cluster: "b"}
	if err := CheckCluster(nil, "a"); err != nil {
		t.Error(err)
	}
	if err := CheckCluster([]Record{b, a}, "b"); err != nil {
		t.Errorf("newest from this cluster: %v", err)
	}
	if err := CheckCluster([]Record{a, b}, "a"); !errors.Is(err, ErrOtherCluster) {
		t.Errorf("newest from another cluster: %v, want ErrOtherCluster", err)
	}
}

func TestNewID(t *testing.T) {
	id, err := NewID(started.In(time.FixedZone("", 7200)), bytes.NewReader([]byte{0x3f, 0xa9, 0x1c, 0x07}))
	if err != nil || id != "20261121T081200Z-3fa91c07" {
		t.Errorf("NewID = %q, %v", id, err)
	}
	const earlier = "20261121T081200Z-3fa9"
	for _, good := range []string{string(id), earlier} {
		if err := CheckID(RecoveryPointID(good)); err != nil {
			t.Error(err)
		}
		if at := timeOf(RecoveryPointID(good)); !at.Equal(time.Date(2026, 11, 21, 8, 12, 0, 0, time.UTC)) {
			t.Errorf("the time of %s is %s", good, at)
		}
	}
	for _, bad := range []string{
		"", "x", string(id + "0"), string(id + "00"), earlier + "0", earlier + "00", "20261121T081200Z", "20261121T081200Z-",
		"20261121T081200Z-3FA9", "20261121T081200Z-3FA91C07",
		"20261321T081200Z-3fa9", "20261321T081200Z-3fa91c07",
	} {
		if CheckID(RecoveryPointID(bad)) == nil {
			t.Errorf("CheckID(%q) accepted it", bad)
		}
	}
}

func TestNames(t *testing.T) {
	w := newWorld(t)
	if _, err := OpenOrCreate(t.Context(), w.bucket, "demo", "db", "other"); err != nil {
		t.Fatal(err)
	}
	if err := w.bucket.Put(t.Context(), "demo/empty/keys/x", nil); err != nil {
		t.Fatal(err)
	}
	got, err := Names(t.Context(), w.bucket)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Name{{"demo", "db"}, {"demo", "web"}}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestOpenErrors(t *testing.T) {
	w := newWorld(t)
	if _, err := Open(t.Context(), w.bucket, "demo", "web", Password("root", "demo", "other")); !errors.Is(err, repository.ErrWrongPassword) {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := Open(t.Context(), w.bucket, "demo", "nothing", "x"); !errors.Is(err, repository.ErrNoRepository) {
		t.Errorf("no repository: %v", err)
	}
	if _, err := OpenOrCreate(t.Context(), w.bucket, "demo", "web", "x"); !errors.Is(err, repository.ErrWrongPassword) {
		t.Errorf("open or create with a wrong password: %v", err)
	}
	for _, name := range [][2]string{{"", "web"}, {"demo", ""}, {"a/b", "c"}, {"..", "web"}} {
		if _, err := OpenOrCreate(t.Context(), w.bucket, name[0], name[1], "x"); err == nil {
			t.Errorf("opened %q", name)
		}
	}
}

// TestPasswordIsOpenSSLs checks the documented way to open a repository without stsbackup.
func TestPasswordIsOpenSSLs(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("this test needs the openssl program: apt-get install openssl")
	}
	root := "correct horse/battery+staple="
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `printf %s stsbackup/demo/web | openssl dgst -sha256 -hmac "$ROOT" -r | cut -d' ' -f1`)
	cmd.Env = append(cmd.Environ(), "ROOT="+root)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Password(repository.Secret(root), "demo", "web").Reveal(), strings.TrimSpace(string(out)); got != want {
		t.Errorf("Password = %s, openssl says %s", got, want)
	}
}
