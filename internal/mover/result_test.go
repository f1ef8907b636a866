package mover

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/storage/archive"
)

func TestOutcome(t *testing.T) {
	whole := `{"repositorySnapshot":"abc","files":3,"bytes":10,"bytesStored":7}`
	partial := `{"repositorySnapshot":"abc","problems":[{"path":"x","reason":"unreadable"}],"problemCount":1}`
	for name, tt := range map[string]struct {
		output string
		err    error
		want   archive.Result
		untidy bool
		says   string // part of failed
	}{
		"saved": {output: whole, want: archive.Result{RepositorySnapshot: "abc", Files: 3, Bytes: 10, BytesStored: 7}},
		"partial": {
			output: partial, err: &cluster.MoverError{ExitCode: 3},
			want: archive.Result{RepositorySnapshot: "abc", ProblemCount: 1, Problems: []archive.Problem{{Path: "x", Reason: "unreadable"}}},
		},
		"saved, not cleaned up": {
			output: whole, err: errors.New("delete mover Job"), want: archive.Result{RepositorySnapshot: "abc", Files: 3, Bytes: 10, BytesStored: 7},
			untidy: true,
		},
		"failed, in its own words": {
			output: `{"error":"endpoint unreachable"}`, err: &cluster.MoverError{Pod: "demo/m", Reason: "Error", ExitCode: 1},
			says: "mover pod demo/m: endpoint unreachable",
		},
		"failed, and names what for": {
			output: `{"error":"not everything","problems":[{"path":"x","reason":"denied"},{"path":"y","reason":"too large"}],"problemCount":7}`,
			err:    &cluster.MoverError{Pod: "demo/m", Reason: "Error", ExitCode: 1}, says: "mover pod demo/m: not everything (x: denied; y: too " +
				"large; and 5 more)",
		},
		"failed without a word": {err: &cluster.MoverError{Pod: "demo/m", Reason: "OOMKilled", ExitCode: 137}, says: "OOMKilled"},
		"failed with a result":  {output: whole, err: &cluster.MoverError{Pod: "demo/m", Reason: "Error", ExitCode: 1}, says: "Error"},
		"never ran":             {err: errors.New("create mover Job: forbidden"), says: "forbidden"},
		"no result":             {says: "another version"},
		"half a result":         {output: `{"repositorySnapshot":"ab`, says: "another version"},
		"empty result":          {output: `{}`, says: "no repository snapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			got, untidy, err := Outcome([]byte(tt.output), tt.err)
			if (tt.says != "") != (err != nil) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
			if (untidy != nil) != tt.untidy {
				t.Errorf("untidy: %v", untidy)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What does not fit into a termination message is left out, but still counted.
func TestWhatAMoverLeavesFits(t *testing.T) {
	result := archive.Result{RepositorySnapshot: "abc", ProblemCount: 40, ChangeCount: 50}
	for range archive.MaxProblems {
		result.Problems = append(result.Problems, archive.Problem{Path: strings.Repeat("p", 400), Reason: "unreadable"})
		result.Changes = append(result.Changes, archive.Change{Path: strings.Repeat("c", 400), Kind: archive.Grew})
	}
	encoded, err := EncodeResult(result)
	if err != nil || len(encoded) > contract.MaxResult {
		t.Fatalf("%d bytes, %v", len(encoded), err)
	}
	got, _, err := Outcome(encoded, nil)
	if err != nil || got.ProblemCount != 40 || got.ChangeCount != 50 || len(got.Problems) != archive.MaxProblems {
		t.Errorf(
			"%d of %d problems, %d of %d changes, %v; want the changes to go first",
			len(got.Problems),
			got.ProblemCount,
			len(got.Changes),
			got.ChangeCount,
			err,
		)
	}
	result.Warnings = []string{strings.Repeat("w", 800), strings.Repeat("w", 5000)}
	if encoded, err = EncodeResult(result); err != nil || len(encoded) > contract.MaxResult {
		t.Fatalf("%d bytes, %v", len(encoded), err)
	}
	if got, _, err = Outcome(encoded, nil); err != nil || len(got.Warnings) != 1 || got.ProblemCount != 40 {
		t.Errorf("%d warnings, %d problems, %v", len(got.Warnings), got.ProblemCount, err)
	}
	encoded, err = EncodeError(errors.New(strings.Repeat("\"", 10_000)), result)
	if err != nil || len(encoded) > contract.MaxResult || !json.Valid(encoded) {
		t.Errorf("an error of 10000 quotes: %d bytes, %v", len(encoded), err)
	}
	if _, _, err := Outcome(encoded, &cluster.MoverError{Pod: "demo/m", ExitCode: 1}); err == nil ||
		!strings.HasPrefix(err.Error(), `mover pod demo/m: """`) ||
		!strings.HasSuffix(err.Error(), "; and 38 more)") {
		t.Errorf("decoded: %v", err)
	}
}

func TestProgress(t *testing.T) {
	if got, ok := Progress([]byte(`{"files":1,"bytes":2}`)); !ok || got.Files != 1 || got.Bytes != 2 {
		t.Errorf("%+v, %v", got, ok)
	}
	if _, ok := Progress([]byte("a line for people")); ok {
		t.Error("a line for people was taken for progress")
	}
}

func TestWaiting(t *testing.T) {
	line, err := EncodeWaiting("locked by \"ops\"")
	if got := Waiting(line); err != nil || got != "locked by \"ops\"" {
		t.Errorf("%q, %v", got, err)
	}
	for _, other := range []string{`{"files":1,"bytes":2}`, "a line for people", ""} {
		if got := Waiting([]byte(other)); got != "" {
			t.Errorf("%q waits for %q", other, got)
		}
	}
}
