package main

import (
	"bytes"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestForgetNewest: forget removes the recovery point that a restore would take only with --force, however the command
// line names it, and whatever else it names.
func TestForgetNewest(t *testing.T) {
	s := newKeeper(t)
	newest := s.ids[len(s.ids)-1]
	for _, args := range [][]string{
		{"demo/web@" + newest},
		{"demo/web@" + newest[:len(newest)-2], "--yes"},
		{"demo/web@" + s.ids[0], "demo/web@" + newest},
		{"demo/web@" + newest, "-o", "json"},
	} {
		s.run(exitRefused, append([]string{"forget"}, args...)...)
		s.says("recovery point "+newest+" of demo/web: it is the newest complete one", "--force")
	}
	if out := s.run(exitRefused, "forget", "demo/web@"+newest, "--dry-run"); !strings.Contains(out, "would forget recovery point "+newest) {
		t.Error(out)
	}
	if diff := cmp.Diff(append([]string{s.dead}, s.ids...), s.left()); diff != "" {
		t.Fatalf("left (-want +got):\n%s", diff)
	}
	s.run(exitDone, "forget", "demo/web@"+newest, "--force")
	s.run(exitDone, "forget", "demo/web@"+s.ids[0])
	// The last one: --force alone is not enough if there is nobody to ask.
	s.run(exitUsage, "forget", "demo/web@"+s.ids[1], "demo/web@"+s.ids[2], "--force")
	s.says("this may leave no complete recovery point of demo/web", "--yes")
	s.run(exitRefused, "forget", "demo/web@"+s.ids[1], "demo/web@"+s.ids[2], "--yes")
	s.says("nothing left to restore from")
	s.run(exitDone, "forget", "demo/web@"+s.ids[1], "demo/web@"+s.ids[2], "--force", "--yes")
	// An incomplete one needs neither.
	s.run(exitDone, "forget", "demo/web@"+s.dead)
	if left := s.left(); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	s.run(exitUsage, "forget", "demo/web", "--keep-last", "1", "--force")
}

// TestForgetAsks: on a terminal, forget asks before it removes a complete recovery point, and only "yes" is consent.
func TestForgetAsks(t *testing.T) {
	for _, tt := range []struct {
		answer string
		code   int
		left   int
		says   string
		args   func(k *keeper) []string
	}{
		{
			"yes\n", exitDone, 4, "3 complete recovery points of demo/web would be left",
			func(k *keeper) []string { return []string{"demo/web@" + k.ids[1]} },
		},
		{"y\n", exitFailed, 5, "the answer was not yes", func(k *keeper) []string { return []string{"demo/web@" + k.ids[1]} }},
		{"", exitFailed, 5, "there was no answer", func(k *keeper) []string { return []string{"demo/web@" + k.ids[1]} }},
		{"", exitDone, 4, "", func(k *keeper) []string { return []string{"demo/web@" + k.ids[1], "--yes"} }},
		{"", exitDone, 4, "", func(k *keeper) []string { return []string{"demo/web@" + k.dead} }},
		{"no\n", exitFailed, 5, "No complete recovery point of demo/web would be left", func(k *keeper) []string {
			return []string{"demo/web@" + k.ids[0], "demo/web@" + k.ids[1], "demo/web@" + k.ids[2], "demo/web@" + k.ids[3], "--force"}
		}},
	} {
		k := newKeeper(t)
		var out, text bytes.Buffer
		a := &app{
			in: strings.NewReader(tt.answer), out: &out, err: &text, terminal: true,
			getenv: func(name string) string { return k.env[name] }, now: k.now, random: rand.Reader, version: "test",
		}
		code := execute(t.Context(), a, append([]string{"forget"}, tt.args(k)...))
		if code != tt.code || len(k.left()) != tt.left || !strings.Contains(text.String(), tt.says) {
			t.Errorf("%q: exit code %d, left %q\n%s", tt.answer, code, k.left(), &text)
		}
	}
}

// TestForgetNewestMeanwhile: forget keeps a recovery point that becomes the newest complete one between the question
// and the answer.
func TestForgetNewestMeanwhile(t *testing.T) {
	k := newKeeper(t)
	var out bytes.Buffer
	removing := &watched{buf: &bytes.Buffer{}, fn: func() {
		if len(k.left()) == len(k.ids)+1 {
			if _, err := k.points.Forget(t.Context(), k.ids[3]); err != nil {
				t.Error(err)
			}
		}
	}}
	a := &app{
		in: strings.NewReader("yes\n"), out: &out, err: removing, terminal: true,
		getenv: func(name string) string { return k.env[name] }, now: k.now, random: rand.Reader, version: "test",
	}
	code := execute(t.Context(), a, []string{"forget", "demo/web@" + k.ids[2]})
	if want := append([]string{k.dead}, k.ids[:3]...); code != exitRefused || !cmp.Equal(want, k.left()) {
		t.Errorf("exit code %d, left %q\n%s", code, k.left(), removing.buf)
	}
}

// TestForgetWithoutIndex: if the index is damaged, nobody knows which recovery point is the newest; with --force,
// forget goes on.
func TestForgetWithoutIndex(t *testing.T) {
	k := newKeeper(t)
	for name := range files(t, filepath.Join(k.root(), "demo/web/index")) {
		writeFile(t, filepath.Join(k.root(), "demo/web/index", name), "damaged")
	}
	k.now = func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }
	k.run(exitFailed, "forget", "demo/web@"+k.ids[0])
	k.says("stsbackup repair demo/web", "--force")
	k.run(exitUsage, "forget", "demo/web@"+k.ids[0], "--force")
	k.run(exitDone, "forget", "demo/web@"+k.ids[0], "--force", "--yes")
}
