package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/test/harness"
)

const replicas = 3

// story is the demo's one run. Once a step has failed, the ones after it do nothing, so that tell reads straight down.
type story struct {
	*harness.Tenant
	ctx   context.Context
	out   io.Writer
	start time.Time
	err   error
}

// tell runs the story, step by step.
func (s *story) tell() error {
	s.chapter("Two StatefulSets with three replicas each: nginx with its pages, Redis with its append-only file.")
	s.setUp()
	s.chapter("Every ordinal gets data of its own.")
	before := s.write()

	s.chapter("One command each takes a recovery point of all three ordinals to S3.")
	s.stsbackup("backup", s.Namespace+"/web")
	s.stsbackup("backup", s.Namespace+"/redis")
	s.stsbackup("list")
	s.chapter("The repository is in restic's format: the stock restic binary opens it and finds no error.")
	s.judge("web")
	s.judge("redis")

	s.chapter("Disaster: the StatefulSets are scaled away, every claim and every volume is deleted.")
	s.destroy()

	s.chapter("One command each brings all three ordinals back.")
	s.stsbackup("restore", s.Namespace+"/web", "--yes")
	s.stsbackup("restore", s.Namespace+"/redis", "--yes")

	s.chapter("Is it what was there before? Every page and every key is read back from its own ordinal.")
	s.compare(before)
	s.chapter("And stsbackup has left nothing behind.")
	s.nothingLeft()
	s.chapter("Done.")
	return s.err
}

// chapter prints what comes next, with the time since the beginning.
func (s *story) chapter(text string) {
	if s.err == nil {
		fmt.Fprintf(s.out, "\n[%5.1f s] %s\n", time.Since(s.start).Seconds(), text)
	}
}

func (s *story) line(format string, args ...any) {
	fmt.Fprintf(s.out, "          "+format+"\n", args...)
}

// stsbackup runs one command as a person would see it.
func (s *story) stsbackup(args ...string) {
	if s.err != nil {
		return
	}
	begin := time.Now()
	fmt.Fprintf(s.out, "\n          $ stsbackup %s\n", strings.Join(args, " "))
	result, err := s.Run(s.ctx, nil, args...)
	for line := range strings.Lines(result.Stderr + result.Stdout) {
		s.line("  %s", strings.TrimRight(line, "\n"))
	}
	if err == nil && result.Code != 0 {
		err = fmt.Errorf("stsbackup %s: exit code %d", strings.Join(args, " "), result.Code)
	}
	s.err = err
	s.line("(%.1f s)", time.Since(begin).Seconds())
}

func (s *story) setUp() {
	if s.err = s.Apply(s.ctx, manifests); s.err != nil {
		return
	}
	for _, name := range []string{"web", "redis"} {
		if s.err = s.WaitReady(s.ctx, name); s.err != nil {
			return
		}
		s.line("StatefulSet %s/%s is Ready.", s.Namespace, name)
	}
}

// write fills every ordinal and returns what each pod must later read back.
func (s *story) write() map[string]string {
	for ordinal := range replicas {
		s.exec(fmt.Sprintf("web-%d", ordinal), fmt.Sprintf(
			`cd /usr/share/nginx/html && echo "<h1>I am web-%d, and this is my own page</h1>" > index.html && mkdir -p img && head -c 1000000 `+
				`/dev/urandom > img/photo-%d.jpg && ln -sf photo-%d.jpg img/latest.jpg`,
			ordinal,
			ordinal,
			ordinal,
		))
		s.exec(fmt.Sprintf("redis-%d", ordinal), fmt.Sprintf(
			`i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo "SET redis-%d:key$i value-$i-of-%d"; done | redis-cli >/dev/null`, ordinal, ordinal))
	}
	return s.read()
}

// read returns what each pod serves: for web, the page over HTTP and a checksum of all files; for Redis, the number of
// keys and a checksum of all keys and values.
func (s *story) read() map[string]string {
	contents := make(map[string]string)
	for ordinal := range replicas {
		web, redis := fmt.Sprintf("web-%d", ordinal), fmt.Sprintf("redis-%d", ordinal)
		page := s.kubectl("get", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/pods/%s:80/proxy/", s.Namespace, web))
		files := s.exec(
			web,
			`cd /usr/share/nginx/html && find . -path ./lost+found -prune -o \( -type f -o -type l \) -print | sort | xargs sha256sum | `+
				`sha256sum | cut -c1-16`,
		)
		contents[web] = page + "\nfiles " + files
		keys := s.exec(redis, `redis-cli dbsize`)
		values := s.exec(redis, `redis-cli --scan | sort | sed 's/.*/ECHO &\nGET &/' | redis-cli | sha256sum | cut -c1-16`)
		contents[redis] = keys + " keys\nvalues " + values
	}
	if s.err == nil {
		for ordinal := range replicas {
			for _, name := range []string{"web", "redis"} {
				pod := fmt.Sprintf("%s-%d", name, ordinal)
				s.line("%-8s %s", pod, strings.ReplaceAll(contents[pod], "\n", "  "))
			}
		}
	}
	return contents
}

// judge lets the stock restic binary check and list a StatefulSet's repository.
func (s *story) judge(statefulSet string) {
	for _, args := range [][]string{{"check", "--read-data"}, {"snapshots", "--compact"}} {
		if s.err != nil {
			return
		}
		result, err := s.StockRestic(s.ctx, statefulSet, args...)
		if err == nil && result.Code != 0 {
			err = fmt.Errorf("%s", result)
		}
		if s.err = err; err != nil {
			return
		}
		s.line("$ restic %s   (%s)", strings.Join(args, " "), statefulSet)
		lines := strings.Split(strings.TrimSpace(result.Stdout), "\n")
		if args[0] == "check" { // its last line says everything
			lines = lines[len(lines)-1:]
		}
		for _, line := range lines {
			s.line("  %s", line)
		}
	}
}

// destroy deletes the pods, the claims and the volumes, and proves that nothing of them is left.
func (s *story) destroy() {
	volumes := strings.Fields(s.kubectl("get", "persistentvolumeclaims", "--output", "jsonpath={.items[*].spec.volumeName}"))
	s.kubectl("scale", "statefulset/web", "statefulset/redis", "--replicas=0")
	s.kubectl("wait", "--for=delete", "pods", "--selector", "app in (web,redis)", "--timeout=180s")
	s.kubectl("delete", "persistentvolumeclaims", "--all", "--timeout=180s")
	s.kubectl(append([]string{"delete", "persistentvolumes", "--ignore-not-found", "--timeout=180s"}, volumes...)...)
	if s.err != nil {
		return
	}
	left := s.kubectl("get", "persistentvolumeclaims,pods", "--output", "name")
	for _, volume := range volumes {
		left += s.kubectl("get", "persistentvolume", volume, "--ignore-not-found", "--output", "name")
	}
	switch {
	case s.err != nil:
	case len(volumes) != 2*replicas:
		s.err = fmt.Errorf("expected %d volumes, there were %d", 2*replicas, len(volumes))
	case left != "":
		s.err = fmt.Errorf("not destroyed: %s", left)
	default:
		s.line("0 pods, 0 claims, 0 volumes left of %d.", len(volumes))
	}
}

// compare reads everything again and fails for every pod whose contents have changed.
func (s *story) compare(before map[string]string) {
	after := s.read()
	if s.err != nil {
		return
	}
	seen := make(map[string]string)
	for pod, want := range before {
		if want == "" || seen[want] != "" || strings.HasPrefix(pod, "web") && !strings.Contains(want, "I am "+pod) {
			s.err = errors.Join(s.err, fmt.Errorf("the data of %s was not its own to begin with", pod))
		}
		seen[want] = pod
		if after[pod] != want {
			s.err = errors.Join(s.err, fmt.Errorf("%s: is\n%s\nbut was\n%s", pod, after[pod], want))
		}
	}
	if s.err == nil {
		s.line("All %d pods hold what they held before.", len(before))
	}
}

func (s *story) nothingLeft() {
	if s.err != nil {
		return
	}
	left, err := s.Leftovers(s.ctx)
	displaced, err2 := s.Displaced(s.ctx)
	if s.err = errors.Join(err, err2); s.err != nil {
		return
	}
	if left = append(left, displaced...); len(left) > 0 {
		s.err = fmt.Errorf("left behind: %s", strings.Join(left, " "))
		return
	}
	s.line("No job, pod, claim, secret, lease or volume of stsbackup's is left in the cluster.")
}

func (s *story) kubectl(args ...string) string {
	if s.err != nil {
		return ""
	}
	var out string
	out, s.err = s.Kubectl(s.ctx, args...)
	return strings.TrimSpace(out)
}

func (s *story) exec(pod, script string) string {
	if s.err != nil {
		return ""
	}
	var out string
	out, s.err = s.Exec(s.ctx, pod, script)
	return out
}
