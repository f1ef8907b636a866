//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/test/harness"
)

// TestMoverThatStandsStill takes the bucket away from a copying mover: stsbackup gives up on it, and says what it was
// doing.
func TestMoverThatStandsStill(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "still")
	s.apply(workload{name: "web", replicas: 1}.manifest(), "web")
	s.exec("web-0", "head -c 8000000 /dev/urandom > /data/more; sync")
	bucket := s.newBucket()
	endpoint, err := bucket.forward(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"STSBACKUP_REPO=" + strings.Replace(bucket.repo(), bucket.endpoint, endpoint, 1),
		"STSBACKUP_MOVER_REPO=" + bucket.repo(),
	}
	results := make(chan harness.Result, 1)
	go func() {
		result, err := s.Run(
			s.ctx,
			environ,
			"backup",
			s.Namespace+"/web",
			"--method",
			"live",
			"--limit-upload",
			"32",
			"--mover-stall-timeout",
			"20s",
		)
		if err != nil {
			t.Error(err)
		}
		results <- result
	}()
	s.until("the mover copies", func() (bool, string) {
		out, err := s.Kubectl(s.ctx, "logs", "--selector", "stsbackup.io/mover", "--tail=-1")
		return err == nil && strings.Contains(out, `"bytes":`), out
	})
	bucket.stop()
	stopped := time.Now()
	result := <-results
	for _, text := range []string{"Stalled", "made no progress for 2", "the last that it said of itself: put " +
		"" + s.Namespace + "/web/data/", "check that the bucket can be reached from that node"} {
		if result.Code != 1 || !strings.Contains(result.Stderr, text) {
			t.Errorf("it does not say %q:\n%s", text, result)
		}
	}
	t.Logf("it ended %s after the bucket", time.Since(stopped).Round(time.Second))
	s.nothingLeft()
}

// TestMoverThatIsNotAdmitted lets Pod Security refuse the mover: nobody waits for that to change by itself.
func TestMoverThatIsNotAdmitted(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "not-admitted")
	s.apply(workload{name: "web", replicas: 1}.manifest(), "web")
	s.kubectl("label", "namespace", s.Namespace, "pod-security.kubernetes.io/enforce=restricted")
	for _, args := range [][]string{{"--dry-run"}, {"--method", "live"}, nil} {
		begun := time.Now()
		s.run(5, []string{"the mover's pod for claim " + s.Namespace + "/data-web-0", "violates PodSecurity", "enforce=baseline"},
			append([]string{"backup", s.Namespace + "/web"}, args...)...)
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("that took %s to find out", took)
		}
		s.nothingBehind()
	}
	s.kubectl("label", "namespace", s.Namespace, "pod-security.kubernetes.io/enforce-")

	t.Log("a policy that admits movers as a dry run only")
	s.noMovers()
	begun := time.Now()
	s.run(
		1,
		[]string{"FailedCreate", "ValidatingAdmissionPolicy", "let the namespace admit the mover pod"},
		"backup",
		s.Namespace+"/web",
		"--method",
		"live",
	)
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("that took %s to find out", took)
	}
	s.nothingLeft()
}

// noMovers makes a policy that denies the pods of movers, but not in a dry run.
func (s *scenario) noMovers() {
	s.t.Helper()
	s.policy("no-movers", "request.dryRun || !has(object.metadata.labels) || !('stsbackup.io/mover' in object.metadata.labels)")
	s.until("pods of movers are denied", func() (bool, string) {
		out, err := s.Kubectl(
			s.ctx,
			"run",
			"probe",
			"--image=none",
			"--restart=Never",
			"--labels=stsbackup.io/mover=x",
			`--overrides={"spec":{"schedulerName":"none"}}`,
		)
		if err == nil {
			s.kubectl("delete", "pod", "probe", "--grace-period=0", "--force")
		}
		return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy"), fmt.Sprint(out, err)
	})
}

// moversAgain removes the policy of noMovers.
func (s *scenario) moversAgain() {
	s.t.Helper()
	s.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", s.Namespace+"-no-movers")
	s.until("pods of movers are admitted", func() (bool, string) {
		out, err := s.Kubectl(
			s.ctx,
			"run",
			"probe",
			"--image=none",
			"--restart=Never",
			"--labels=stsbackup.io/mover=x",
			`--overrides={"spec":{"schedulerName":"none"}}`,
		)
		if err == nil {
			s.kubectl("delete", "pod", "probe", "--grace-period=0", "--force")
		}
		return err == nil, fmt.Sprint(out, err)
	})
}
