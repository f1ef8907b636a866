//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// own is the namespace in which stsbackup is installed.
const own = "stsbackup"

// TestScheduledBackups is the life of an installation: the CronJob, and after it the scheduler, installed as the
// documentation says; two StatefulSets that are backed up each minute; a leader that is killed in the middle of a
// backup; a bucket that is out of reach for two rounds; and a restore of a scheduled backup.
func TestScheduledBackups(t *testing.T) {
	t.Parallel()
	s := newScenarioWithin(t, "scheduled", 20*time.Minute)
	bucket := s.newBucket()
	s.apply(workload{name: "alpha", replicas: 2}.manifest()+"---"+workload{name: "beta", replicas: 1}.manifest(), "alpha", "beta")
	s.enabled("alpha", "beta")
	t.Cleanup(s.uninstall)

	// 1. The CronJob, once.
	s.installedByCronJob(bucket)

	// 2. The scheduler. It needs the right time to begin: what is due during the installation does not count.
	in := s.install("scheduler", bucket.repo(), everyMinute(s.Namespace)...)
	rounds := in.watchRounds(bucket)
	first := rounds.await("the first round", time.Time{}, 1)
	in.done(s.Namespace+"/alpha", s.Namespace+"/beta") // a recovery point is in the bucket before the log says so
	in.works("scheduler", `"msg":"backup"`)

	// 3. The leader dies in the middle of a backup.
	rounds.await("two rounds", first, 2)
	leader := in.killLeader()
	killed := time.Now()
	rounds.await("a round after the leader was killed", killed.Truncate(time.Minute), 2)
	if now := in.leader(); now == leader {
		t.Errorf("%s was killed and still leads", leader)
	}
	in.until("nothing is left of what was killed, between two rounds", func() (bool, string) {
		left := in.behind()
		return len(left) == 0, strings.Join(left, " ")
	})

	// 4. The bucket is out of reach for two rounds.
	down := time.Now()
	bucket.stop()
	s.until("two rounds have passed without the bucket", func() (bool, string) {
		return time.Now().After(down.Truncate(time.Minute).Add(3 * time.Minute).Add(-15 * time.Second)), time.Since(down).String()
	})
	bucket.start()
	up := time.Now()
	rounds.await("the rounds after the bucket came back", up, 2)
	rounds.stop()
	rounds.judge(first, gap{down, up, bucketNoticed})
	in.keepsTwo(bucket)
	in.tellsOfFailures(down, bucket)

	// 5. A person can restore a scheduled backup by hand.
	in.restoreByHand(bucket)
	in.nothingBehind()
}

// installedByCronJob installs the CronJob, runs it once, and removes it again.
func (s *scenario) installedByCronJob(bucket ownBucket) {
	s.t.Helper()
	byLabel.Lock()
	defer byLabel.Unlock()
	in := s.install("cronjob", strings.Replace(bucket.repo(), "/root", "/cronjob", 1))
	log := s.jobSucceeded(own, "first-backup")
	s.nothingBehind()
	if !strings.Contains(log, "forget") || !strings.Contains(log, "newest complete") {
		s.t.Errorf("nothing was decided about what to keep:\n%s", log)
	}
	ctx, stop := context.WithCancel(s.ctx)
	defer stop()
	endpoint, err := bucket.forward(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	in.works("cronjob", "/alpha: complete", "/beta: complete")
	in.worksByBucket("alpha", endpoint, bucket.endpoint, "complete", "2/2", " looked up in ")
	s.runWith(in.environ(endpoint, bucket.endpoint), 0, []string{"complete", "1/1"}, "list", s.Namespace+"/beta")
	s.inOwn(
		"delete",
		"--ignore-not-found",
		"cronjob/stsbackup",
		"cronjob/stsbackup-prune",
		"job/first-backup",
		"secret/stsbackup",
		"configmap/stsbackup-cronjob",
	)
}

// inOwn runs kubectl in the namespace of the installation.
func (s *scenario) inOwn(args ...string) string {
	s.t.Helper()
	out, err := s.KubectlInput(s.ctx, "", append([]string{"--namespace", own}, args...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// uninstall removes everything except what deploy/base has made, because the other tests run with those rights.
func (s *scenario) uninstall() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	_, err := s.KubectlInput(ctx, "", "--namespace", own, "delete", "deployment,cronjob,job,service,poddisruptionbudget,networkpolicy",
		"--selector", "app.kubernetes.io/name=stsbackup", "--cascade=foreground", "--timeout=120s")
	if err != nil {
		s.t.Error(err)
	}
	_, err = s.KubectlInput(ctx, "", "--namespace", own, "delete", "--ignore-not-found",
		"secret/stsbackup", "configmap/stsbackup-policies", "configmap/stsbackup-cronjob", "lease/scheduler.stsbackup.io")
	if err != nil {
		s.t.Error(err)
	}
}

// leader is the identity in the schedulers' Lease: the pod's name, and a part that is different after each start.
func (in installation) leader() string {
	in.t.Helper()
	return in.inOwn("get", "lease", "scheduler.stsbackup.io", "--output", "jsonpath={.spec.holderIdentity}")
}

// killLeader kills the leader in the middle of a backup, and returns its identity.
func (in installation) killLeader() string {
	in.t.Helper()
	in.inMidBackup()
	leader := in.leader()
	pod, _, _ := strings.Cut(leader, "_")
	in.kill9(in.podUID(own, pod), "/stsbackup")
	return leader
}

// point is a recovery point as `stsbackup list` shows it.
type point struct {
	ID, StatefulSet, State string
	Started                time.Time
}

// rounds collects the recovery points that have existed, also those that were forgotten meanwhile.
type rounds struct {
	in    installation
	mu    sync.Mutex
	seen  map[string]point // by StatefulSet and id
	stop  func()
	trail string // why they could not be read the last time
}

// watchRounds lists the recovery points again and again.
func (in installation) watchRounds(bucket ownBucket) *rounds {
	ctx, cancel := context.WithCancel(in.ctx)
	r := &rounds{in: in, seen: map[string]point{}}
	var task sync.WaitGroup
	r.stop = sync.OnceFunc(func() {
		cancel()
		task.Wait()
	})
	in.t.Cleanup(r.stop)
	task.Go(func() {
		for ctx.Err() == nil {
			r.follow(ctx, bucket)
		}
	})
	return r
}

// follow lists through one connection, until that breaks.
func (r *rounds) follow(ctx context.Context, bucket ownBucket) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tick := time.NewTicker(4 * time.Second)
	defer tick.Stop()
	endpoint, err := bucket.forward(ctx)
	for err == nil {
		for _, name := range []string{"alpha", "beta"} {
			err = r.list(ctx, r.in.environ(endpoint, bucket.endpoint), name)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	r.mu.Lock()
	r.trail = err.Error()
	r.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-tick.C:
	}
}

func (r *rounds) list(ctx context.Context, environ []string, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	result, err := r.in.Run(ctx, environ, "list", r.in.Namespace+"/"+name, "-o", "json")
	if err != nil {
		return err
	}
	if result.Code == 4 {
		return nil // none yet
	}
	var points []point
	if result.Code != 0 {
		return fmt.Errorf("list: %s", result)
	}
	if err := json.Unmarshal([]byte(result.Stdout), &points); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range points {
		r.seen[name+" "+p.ID] = p
	}
	return nil
}

// complete returns the complete recovery points of a StatefulSet that have been seen, in order.
func (r *rounds) complete(name string) []point {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []point
	for _, p := range r.seen {
		if p.StatefulSet == name && p.State == "complete" {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b point) int { return a.Started.Compare(b.Started) })
	return found
}

// await waits until both StatefulSets have this many recovery points that were begun after a time, and returns when the
// first minute began that has both.
func (r *rounds) await(what string, after time.Time, number int) time.Time {
	r.in.t.Helper()
	var begun time.Time
	r.in.until(what, func() (bool, string) {
		for _, name := range []string{"alpha", "beta"} {
			points := slices.DeleteFunc(r.complete(name), func(p point) bool { return p.Started.Before(after) })
			if len(points) < number {
				r.mu.Lock()
				defer r.mu.Unlock()
				return false, fmt.Sprintf(
					"%s has %d recovery points since %s, not %d (%s)",
					name,
					len(points),
					after.Format(time.TimeOnly),
					number,
					r.trail,
				)
			}
			if minute := points[0].Started.Truncate(time.Minute); minute.After(begun) {
				begun = minute
			}
		}
		return true, ""
	})
	return begun
}

// judge checks that each minute has one recovery point of each StatefulSet.
func (r *rounds) judge(first time.Time, away gap) {
	r.in.t.Helper()
	for _, name := range []string{"alpha", "beta"} {
		var begun []time.Time
		for _, p := range r.complete(name) {
			begun = append(begun, p.Started)
		}
		for _, problem := range lostOrDoubled(begun, first, away) {
			r.in.t.Errorf("%s: %s", name, problem)
		}
	}
}

// keepsTwo checks that at the end there are no more recovery points than the policy keeps.
func (in installation) keepsTwo(bucket ownBucket) {
	in.t.Helper()
	ctx, stop := context.WithCancel(in.ctx)
	defer stop()
	endpoint, err := bucket.forward(ctx)
	if err != nil {
		in.t.Fatal(err)
	}
	for _, name := range []string{"alpha", "beta"} {
		in.until(name+" has two recovery points", func() (bool, string) {
			var points []point
			result := in.runWith(in.environ(endpoint, bucket.endpoint), 0, nil, "list", in.Namespace+"/"+name, "-o", "json")
			if err := json.Unmarshal([]byte(result.Stdout), &points); err != nil {
				in.t.Fatal(err)
			}
			points = slices.DeleteFunc(points, func(p point) bool { return p.State != "complete" })
			return len(points) == 2, result.Stdout
		})
	}
}

// restoreByHand stops the schedule, spoils the data and restores it with the command line.
func (in installation) restoreByHand(bucket ownBucket) {
	in.t.Helper()
	in.inOwn("scale", "deployment/stsbackup", "--replicas=0")
	in.inOwn("wait", "--for=delete", "pod", "--selector=app.kubernetes.io/component=scheduler", "--timeout=180s")
	ctx, stop := context.WithCancel(in.ctx)
	defer stop()
	endpoint, err := bucket.forward(ctx)
	if err != nil {
		in.t.Fatal(err)
	}
	const sums = `cd /data && find . -type f ! -path './lost+found/*' -exec sha256sum {} + | sort -k 2`
	want := map[string]string{}
	for _, pod := range []string{"alpha-0", "alpha-1"} {
		want[pod] = in.exec(pod, sums)
		in.exec(pod, "rm -rf /data/id /data/hard /data/soft /data/noise /data/private; echo spoiled > /data/spoiled; sync")
	}
	if want["alpha-0"] == want["alpha-1"] || !strings.Contains(want["alpha-0"], "private/key") {
		in.t.Fatalf("the data is not what the test is about: %v", want)
	}
	in.runWith(in.environ(endpoint, bucket.endpoint), 0, nil, "restore", in.Namespace+"/alpha", "--yes")
	in.waitReady("alpha")
	for pod, sum := range want {
		if got := in.exec(pod, sums); got != sum {
			in.t.Errorf("%s holds\n%s\nand should hold\n%s", pod, got, sum)
		}
	}
}
