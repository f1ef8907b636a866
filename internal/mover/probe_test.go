package mover

import (
	"errors"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/archive"
)

func TestProbeOutcome(t *testing.T) {
	t.Parallel()
	found, err := EncodeProbe()
	if err != nil {
		t.Fatal(err)
	}
	failed, err := EncodeError(errors.New("endpoint unreachable; give --mover-repo"), archive.Result{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		output []byte
		err    error
		says   []string // none: nil
	}{
		"found": {output: found},
		"in its own " +
			"words": {
			output: failed, err: &cluster.MoverError{Pod: "demo/p", Reason: "Error", ExitCode: 1},
			says: []string{"movers cannot work", "mover pod demo/p: endpoint unreachable; give --mover-repo"},
		},
		"with what else is known": {
			output: failed, err: &cluster.MoverError{Pod: "demo/p", Reason: "Error", ExitCode: 1, Note: "no new keys"},
			says: []string{"--mover-repo; no new keys"},
		},
		"an image of before": {
			err:  &cluster.MoverError{Pod: "demo/p", Reason: "Error", ExitCode: 2, Log: []string{"unknown command"}},
			says: []string{"unknown command", "another version of stsbackup?"},
		},
		"no image": {
			err: &cluster.MoverError{Pod: "demo/p", Reason: "ErrImagePull", ExitCode: -1}, says: []string{"ErrImagePull", "--image"},
		},
		"out of memory": {
			err: &cluster.MoverError{Pod: "demo/p", Reason: "OOMKilled", ExitCode: 137}, says: []string{"OOMKilled", "--mover-limits"},
		},
		"not removed":         {output: found, err: errors.New("remove mover pods in demo: wait for pods"), says: []string{"remove mover pods"}},
		"says nothing":        {says: []string{"another version of stsbackup?"}},
		"says something else": {output: []byte(`{"repositorySnapshot":"abc"}`), says: []string{"another version of stsbackup?"}},
	} {
		err := ProbeOutcome(tt.output, tt.err)
		if (err != nil) != (len(tt.says) > 0) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, text := range tt.says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, which does not say %q", name, err, text)
			}
		}
	}
}

// A mover that fails because its keys are no longer valid says only that; its engine knows why there are no new ones.
func TestOutcomeSaysWhyThereAreNoKeys(t *testing.T) {
	t.Parallel()
	_, _, err := Outcome(
		[]byte(`{"error":"the session token has expired"}`),
		&cluster.MoverError{Pod: "demo/m", Reason: "Error", ExitCode: 1, Note: "renew the keys: STS does not answer"},
	)
	if err == nil || err.Error() != "mover pod demo/m: the session token has expired; renew the keys: STS does not answer" {
		t.Errorf("%v", err)
	}
}
