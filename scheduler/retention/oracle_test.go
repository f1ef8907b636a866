package retention

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/internal/calendar"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// TestDecideAsRestic compares decisions with those of the stock restic binary on repository snapshots of the same
// times: the rules have the names of restic's options, so people expect them to do the same.
func TestDecideAsRestic(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("restic")
	if err != nil {
		t.Fatal("this test needs the restic program as the judge of what the rules mean: apt-get install restic")
	}
	dir := t.TempDir()
	times := snapshotsAt(t, dir, rand.New(rand.NewPCG(1, 2)))
	var given []Point
	for _, begun := range times {
		given = append(given, Point{ID: begun.Format(time.RFC3339), State: Complete, Time: begun, Touched: begun})
	}
	for _, test := range []struct {
		rules Rules
		args  []string
	}{
		{Rules{Last: 5, Hourly: 4, Yearly: 3}, []string{"--keep-last=5", "--keep-hourly=4", "--keep-yearly=3"}},
		{Rules{Daily: 20, Monthly: 12}, []string{"--keep-daily=20", "--keep-monthly=12"}},
		{Rules{Weekly: 60}, []string{"--keep-weekly=60"}},
		{Rules{Within: calendar.Span{Years: 1, Days: 5, Elapsed: 7 * time.Hour}}, []string{"--keep-within=1y5d7h"}},
	} {
		args := slices.Concat([]string{"--no-cache", "-r", dir, "forget", "--dry-run", "--json", "--no-lock"}, test.args)
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = append(os.Environ(), "RESTIC_PASSWORD=secret", "TZ=UTC")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("restic %v: %v\n%s", args, err, out)
		}
		var groups []struct{ Keep []struct{ Time time.Time } }
		if err := json.Unmarshal(out, &groups); err != nil || len(groups) != 1 {
			t.Fatalf("restic %v: %v\n%s", args, err, out)
		}
		var want, got []string
		for _, snapshot := range groups[0].Keep {
			want = append(want, snapshot.Time.UTC().Format(time.RFC3339))
		}
		for _, d := range Decide(given, test.rules, times[0].AddDate(10, 0, 0), time.UTC) {
			if d.Keep {
				got = append(got, d.ID)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" || len(got) == len(given) {
			t.Errorf("%v: %d of %d kept (-restic +got):\n%s", test.args, len(got), len(given), diff)
		}
	}
}

// snapshotsAt makes a repository with repository snapshots of many times.
func snapshotsAt(t *testing.T, dir string, random *rand.Rand) []time.Time {
	t.Helper()
	ctx := t.Context()
	bucket, err := local.Open(local.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := repository.Init(ctx, bucket, "secret", repository.Options{})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := repo.NewWriter(ctx)
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
	var times []time.Time
	begun := time.Date(2023, 12, 30, 1, 0, 0, 0, time.UTC)
	for i := range 150 {
		// Sometimes many a day, sometimes none for weeks.
		pause := time.Duration(random.ExpFloat64() * float64(time.Hour) * []float64{0.5, 10, 300}[i/5%3])
		begun = begun.Add(pause).Add(time.Second).Truncate(time.Second)
		times = append(times, begun)
		_, _, err := repo.SaveSnapshot(ctx, repository.Snapshot{Time: begun, Tree: &tree, Paths: []string{"/www-web-0"}, Hostname: "demo/web"})
		if err != nil {
			t.Fatal(err)
		}
	}
	return times
}
