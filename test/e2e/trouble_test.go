//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSchedulerInTrouble: a scheduler that backs up each minute lives through what happens to a cluster in a year.
// Somebody changes its password and its keys, deletes namespaces under it, and stops the API server for half a minute.
// The latter would fail other tests, so this one does not run beside them; it also shows how a restore and a backup
// react to that.
func TestSchedulerInTrouble(t *testing.T) {
	s := newScenarioWithin(t, "trouble", 25*time.Minute)
	bucket := s.newBucket()
	s.apply(workload{name: "alpha", replicas: 2}.manifest() + "---" + workload{name: "beta", replicas: 1}.manifest())
	planned := s.another("planned", workload{name: "gamma", replicas: 1})
	copied := s.another("copied", workload{name: "delta", replicas: 4})
	s.waitReady("alpha")
	s.waitReady("beta")
	s.baseAtEnd()
	t.Cleanup(s.uninstall)

	// 1. The scheduler, with keys of its own.
	old := newKeys("first")
	bucket.setUsers(map[string]string{old.access: old.secret})
	in := s.install("scheduler", bucket.repo(), append(everyMinute(s.Namespace, planned, copied),
		"ACCESS-KEY", old.access, "SECRET-KEY", old.secret, lastInKustomization, lastInKustomization+shortGrace)...)
	pods := in.schedulers()
	rounds := in.watchRounds(bucket)

	// 2. Somebody deletes a namespace while movers are at work in it.
	deleted := in.deletedWhenCopied(copied, "delta")
	first := rounds.await("the first round", time.Time{}, 1)
	in.toldOfDeletion(deleted, copied+"/delta", "namespace "+copied+": not found: it is being deleted")

	// 3. The keys change, and the scheduler sees them when the kubelet shows them.
	in.done(planned + "/gamma")
	change := in.changeKeys(bucket, old, s.Namespace+"/alpha", s.Namespace+"/beta", planned+"/gamma")

	// 4. Somebody deletes a namespace between the plan and the backup. In the same round the API server goes, for half
	// a minute, in the middle of a restore and a backup that somebody makes by hand. Their movers may have to wait for
	// two rounds.
	byHand := newWork(t, 20*time.Minute, 200*time.Second, 200*time.Second)
	byHand.begin()
	deleted = in.deletedWhenPlanned(planned)
	in.toldOfDeletion(deleted, planned+"/gamma", "namespace "+planned+": not found: it is being deleted")
	away := in.withoutAPIServer("alpha", 30*time.Second, byHand)

	// 5. The old password and keys open nothing any more, and the scheduler goes on by itself.
	change.finish(s.Namespace+"/alpha", s.Namespace+"/beta")
	rounds.await("a round after the API server came back", away.up, 1)
	in.toldOfTheRestart(away)
	in.sameAs(pods)

	// 6. The leader's pod is deleted in the middle of backups, which it cancels at once; its successor makes them.
	deleted = in.deleteLeader()
	rounds.await("what was cancelled is made up for", deleted.Truncate(time.Minute), 1)
	in.toldOfTheEnd(deleted)
	byHand.end()

	// 7. With the documentation's time to stop, it is removed in the middle of backups, which finish. Nothing is left.
	in.takesItsTime()
	running := in.inMidBackup()
	in.remove("scheduler", func() {
		if holder := in.leader(); holder != "" {
			t.Errorf("the Lease of the scheduler is held by %s", holder)
		}
	})
	in.nothingOf(planned, copied)
	rounds.await("what ran was backed up", running, 1)
	rounds.stop()
	rounds.judge(first, away)
}

// earlyInMinute is how long it is early in the minute. A backup begins with the minute and has a mover after three
// seconds. A backup that is repeated because its leader was killed begins about 20 seconds after that.
const earlyInMinute = 10 * time.Second

// inMidBackup waits for a mover of alpha that was made in a minute that has not begun yet, and returns that minute. It
// is early in the minute, so a repeated backup belongs to the same minute.
func (in installation) inMidBackup() time.Time {
	in.t.Helper()
	called := time.Now()
	var minute time.Time
	in.until("a mover is there early in the minute", func() (bool, string) {
		now := time.Now()
		minute = now.Truncate(time.Minute)
		return minute.After(called) && now.Sub(minute) < earlyInMinute && in.moverSince(in.Namespace, "alpha", minute), "none is"
	})
	return minute
}

// namespace makes one more namespace.
func (s *scenario) namespace(name string) string {
	s.t.Helper()
	namespace := s.Namespace + "-" + name
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		if _, err := s.KubectlInput(ctx, "", "delete", "namespace", namespace, "--ignore-not-found", "--timeout=150s"); err != nil {
			s.t.Error(err)
		}
	})
	if _, err := s.KubectlInput(s.ctx, "", "create", "namespace", namespace); err != nil {
		s.t.Fatal(err)
	}
	return namespace
}

// another makes one more namespace with a StatefulSet.
func (s *scenario) another(name string, w workload) (namespace string) {
	s.t.Helper()
	namespace = s.namespace(name)
	for _, args := range [][]string{
		{"--namespace", namespace, "apply", "-f", "-"},
		{"--namespace", namespace, "rollout", "status", "statefulset/" + w.name, "--timeout=180s"},
	} {
		if _, err := s.KubectlInput(s.ctx, w.manifest(), args...); err != nil {
			s.t.Fatal(err)
		}
	}
	return namespace
}

// schedulers says for each pod of the scheduler which one it is and how often it has restarted.
func (in installation) schedulers() string {
	in.t.Helper()
	return in.inOwn("get", "pods", "--selector=app.kubernetes.io/component=scheduler", "--sort-by=.metadata.name",
		"--output", `jsonpath={range .items[*]}{.metadata.uid} restarts={.status.containerStatuses[0].restartCount}{"\n"}{end}`)
}

// sameAs checks that no pod of the scheduler has restarted, or was replaced.
func (in installation) sameAs(before string) {
	in.t.Helper()
	if now := in.schedulers(); now != before || strings.Count(now, "restarts=0") != 2 {
		in.t.Errorf("the pods of the scheduler were\n%s\nand are\n%s", before, now)
	}
}

// line is one line of the scheduler's log.
type line struct {
	Time                                   time.Time
	Level, Msg, StatefulSet, Result, Error string
	text                                   string
}

// log returns what both schedulers have logged since a time.
func (in installation) log(since time.Time) []line {
	in.t.Helper()
	return in.lines(
		in.inOwn("logs", "--selector=app.kubernetes.io/component=scheduler", "--tail=-1", "--since-time="+since.UTC().Format(time.RFC3339)),
	)
}

// lines parses a log. All lines must be what docs/scheduler.md says they are.
func (in installation) lines(log string) []line {
	in.t.Helper()
	var lines []line
	for text := range strings.Lines(log) {
		l := line{text: strings.TrimSpace(text)}
		if err := json.Unmarshal([]byte(text), &l); err != nil || l.Msg == "" {
			in.t.Errorf("the log has a line that is none of its own: %s", text)
		}
		lines = append(lines, l)
	}
	return lines
}

// done waits until StatefulSets have been backed up once.
func (in installation) done(names ...string) {
	in.t.Helper()
	begun := time.Now().Add(-time.Hour)
	for _, name := range names {
		in.until(name+" is backed up", func() (bool, string) {
			lines := in.log(begun)
			return slices.ContainsFunc(
				lines,
				func(l line) bool { return l.StatefulSet == name && l.Result == "done" },
			), fmt.Sprint(len(lines), " lines")
		})
	}
}
