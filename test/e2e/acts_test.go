//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/test/harness"
)

// actsInCI is how many combinations run without STSBACKUP_TEST_ACTS.
const actsInCI = 8

// TestSomebodyActs kills restores with -9 at one of their writes to the API server, before or after the server carries
// it out. Then somebody acts, and then a person types one of the commands that may follow. In every combination,
// nothing that a pod ever wrote may be lost. There are too many to try them all: STSBACKUP_TEST_ACTS says how many, and
// a seed chooses them. The test logs the seed, and STSBACKUP_TEST_SEED sets it.
func TestSomebodyActs(t *testing.T) {
	t.Parallel()
	seed := numberFrom(t, "STSBACKUP_TEST_SEED", uint64(time.Now().UnixNano()))
	number := numberFrom(t, "STSBACKUP_TEST_ACTS", actsInCI)
	t.Logf("%d combinations; repeat them with STSBACKUP_TEST_SEED=%d", number, seed)
	writes := writesOfRestore(t)
	t.Logf("a restore changes the cluster %d times:\n  %s", len(writes), strings.Join(writes, "\n  "))
	table := &outcomes{}
	t.Run("all", func(t *testing.T) {
		for i, c := range choose(seed, int(number), len(writes)) {
			t.Run(fmt.Sprintf("%02d", i+1), func(t *testing.T) {
				t.Parallel()
				c.at = writes[c.write-1]
				c.try(t, table)
			})
		}
	})
	t.Logf("what became of them:\n%s", table)
}

// numberFrom reads a number from the environment.
func numberFrom(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// combination is one combination of write, act and command.
type combination struct {
	write      int // the number of the write at which the restore is killed
	at         string
	carriedOut bool
	act        act
	then       string
	class      string
}

// String is its name in the table.
func (c combination) String() string {
	when := "before"
	if c.carriedOut {
		when = "after"
	}
	return fmt.Sprintf("%s write %d (%s) × %s × %s", when, c.write, c.at, c.act.name, c.then)
}

// choose takes this many of all combinations: every act and every command equally often, and the writes from the first
// to the last.
func choose(seed uint64, number, writes int) []combination {
	random := rand.New(rand.NewPCG(seed, 0))
	var acts []act
	var following []string
	var stops []int
	for len(acts) < number {
		all := allActs()
		random.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		acts = append(acts, all...)
	}
	for len(following) < number {
		all := slices.Sorted(maps.Keys(thens()))
		random.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		following = append(following, all...)
	}
	for i := range number {
		from, to := i*writes/number, max(i*writes/number+1, (i+1)*writes/number)
		stops = append(stops, 1+from+random.IntN(to-from))
	}
	random.Shuffle(number, func(i, k int) { stops[i], stops[k] = stops[k], stops[i] })
	var chosen []combination
	for i := range number {
		chosen = append(chosen, combination{
			write: stops[i], carriedOut: random.IntN(2) == 1, act: acts[i], then: following[i],
			class: []string{"reflink", "reflink-immediate", "reflink-retain"}[random.IntN(3)],
		})
	}
	return chosen
}

// writesOfRestore runs a restore to its end and returns what it wrote.
func writesOfRestore(t *testing.T) []string {
	t.Helper()
	s := newActors(t, combination{class: "reflink", act: act{name: "nothing"}})
	p := s.newProxy()
	command := s.startThrough(p, "restore", s.web, "--yes")
	if code := command.end(); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, &command.said)
	}
	s.waitReady("web")
	if got := s.dataSet(); got != "saved" {
		t.Fatalf("the pods hold %s", got)
	}
	s.allKept()
	return p.seen()
}

// try runs one combination.
func (c combination) try(t *testing.T, table *outcomes) {
	t.Logf("%s (class %s)", c, c.class)
	begun := time.Now()
	s := newActors(t, c)
	p := s.newProxy()
	p.stopAt, p.carriedOut = c.write, c.carriedOut
	command := s.startThrough(p, "restore", s.web+"@"+s.saved, "--yes")
	ended := make(chan int, 1)
	go func() { ended <- command.end() }()
	select {
	case <-p.stopped:
		command.signal(syscall.SIGKILL)
		<-ended
	case code := <-ended: // it had less to do than the restore whose writes were counted
		t.Logf("it was not stopped, exit code %d: it changed the cluster only %d times", code, len(p.seen()))
	case <-s.ctx.Done():
		t.Fatalf("it is neither stopped nor ended:\n%s", &command.said)
	}
	s.kept(s.volumes())
	c.act.do(s)
	journal := s.journal()
	result, err := s.Run(s.ctx, nil, thens()[c.then](s)...)
	if err != nil {
		t.Fatal(err)
	}
	s.stopLoop()
	outcome := s.judge(c, journal, result)
	s.allKept()
	outcome = fmt.Sprintf("%s (%s)", outcome, time.Since(begun).Round(time.Second))
	table.add(c, outcome)
	t.Log(outcome)
	if t.Failed() {
		t.Logf("killed after:\n%s\n  %s\nthen: %s", &command.said, strings.Join(p.seen(), "\n  "), result)
	}
}

// judge checks that a command has done its job, or has refused and said what a person can choose.
func (s *actors) judge(c combination, journal string, result harness.Result) string {
	s.t.Helper()
	said := result.Stdout + result.Stderr
	switch result.Code {
	case 0:
		s.done(c)
		return c.then + " done, the pods hold " + s.dataSet()
	case 4: // there is nothing to resume, or to undo
		if journal != "" || c.then == "restore" {
			s.t.Errorf("exit code 4, and the journal was in phase %q:\n%s", journal, result)
		}
		return c.then + " finds nothing"
	case 5:
		meant := c.then == "restore" && journal != "" || c.then == "keep" || c.act.name == "delete a claim"
		if !meant {
			s.t.Errorf("refused, with the journal in phase %q:\n%s", journal, result)
		}
		if c.act.name == "delete a claim" && strings.Contains(said, "somebody has deleted it: its volume ") {
			// What is at stake then is that volume, whatever the journal says: the refusal tells how to keep it.
			if !strings.Contains(said, "to keep the data run \"kubectl patch pv ") || !strings.Contains(said, " to 0 so that the claim can go") {
				s.t.Errorf("the refusal does not say how to keep the volume:\n%s", result)
			}
			return fmt.Sprintf("%s refused because of the claim (journal: %q)", c.then, journal)
		}
		resume, undo := strings.Contains(said, "--resume"), strings.Contains(said, "stsbackup undo "+s.web)
		if journal != "" && !resume && !undo {
			s.t.Errorf("the refusal does not say what a person can choose:\n%s", result)
		}
		if journal != "" && c.then == "restore" && (!resume || !undo) {
			s.t.Errorf("the refusal does not name both commands:\n%s", result)
		}
		return fmt.Sprintf("%s refused (journal: %q)", c.then, journal)
	default:
		s.t.Errorf("exit code %d, with the journal in phase %q:\n%s", result.Code, journal, result)
		return fmt.Sprintf("%s FAILED", c.then)
	}
}

// done checks that the StatefulSet runs, has the data that it should, and shows no trace of the operation.
func (s *actors) done(c combination) {
	s.t.Helper()
	s.waitReady("web")
	if gates := s.kubectl("get", "statefulset", "web", "-o", "jsonpath={.spec.template.spec.schedulingGates}"); gates != "" {
		s.t.Errorf("the pod template still has gates: %s", gates)
	}
	if phase := s.journal(); phase != "" {
		s.t.Errorf("the journal is still there, in phase %q", phase)
	}
	s.nothingLeft()
	want := map[string][]string{"resume": {"saved"}, "restore": {"saved"}, "undo": {"old"}}[c.then]
	if c.act.name == "another restore" && c.then == "undo" {
		want = append(want, "saved") // it has completed the first restore, and was a restore of its own
	}
	if got := s.dataSet(); want != nil && c.act.name != "delete a claim" && !slices.Contains(want, got) {
		s.t.Errorf("the pods hold %s, want %s", got, strings.Join(want, " or "))
	}
}

// outcomes is the table that the test logs at the end.
type outcomes struct {
	mutex sync.Mutex
	lines []string
}

func (o *outcomes) add(c combination, outcome string) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.lines = append(o.lines, fmt.Sprintf("  %s: %s", c, outcome))
}

// String writes one line for each outcome.
func (o *outcomes) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return fmt.Sprintf("%s\n  in all %d", strings.Join(slices.Sorted(slices.Values(o.lines)), "\n"), len(o.lines))
}
