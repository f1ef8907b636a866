package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

func TestJudgePulse(t *testing.T) {
	const limit = 15 * time.Minute
	for name, tt := range map[string]struct {
		pulse pulse
		ready bool
		want  verdict
	}{
		"gets on":                         {pulse{still: time.Minute}, true, alive},
		"stands still":                    {pulse{still: limit}, true, suspect},
		"stands still, not ready":         {pulse{still: limit}, false, suspect},
		"cannot be heard":                 {pulse{deaf: 3 * limit}, true, alive},
		"cannot be heard, not ready":      {pulse{deaf: limit}, false, lost},
		"cannot be heard for a while":     {pulse{deaf: time.Minute}, false, alive},
		"not ready, and yet to be heard":  {pulse{still: time.Minute}, false, alive},
		"nothing is known of it whatever": {pulse{}, false, alive},
	} {
		if got := judgePulse(tt.pulse, tt.ready, limit); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// runningOn is a mover's running pod, on a node that answers or does not.
func runningOn(ready corev1.ConditionStatus) corev1.PodStatus {
	status := *running.DeepCopy()
	status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	return status
}

// TestMoverThatStandsStill runs a mover for 16 minutes that reports progress, or does not.
func TestMoverThatStandsStill(t *testing.T) {
	const limit = 4 * time.Minute
	sign := func(line []byte) Sign {
		mark, doing, _ := strings.Cut(string(line), " ")
		return Sign{Mark: strings.TrimPrefix(mark, "-"), Doing: doing}
	}
	for name, tt := range map[string]struct {
		// says is the last line of the mover after this time; fails is why nobody can read it.
		says   func(ran time.Duration) string
		fails  func(ran time.Duration) error
		status corev1.PodStatus
		want   string // reason
		text   string
		after  time.Duration // when RunMover gives up on it
	}{
		"gets on": {says: func(ran time.Duration) string { return fmt.Sprintf("%d put data/x", ran/(3*time.Minute)) }},
		"says the same": {
			says: func(time.Duration) string { return "3 put data/x in s3://bucket" }, want: reasonStalled,
			text: "has made no progress for 4m0s; the last that it said of itself: put data/x in s3://bucket; check that the bucket can " +
				"be reached from that node", after: limit,
		},
		"gets on and stops": {
			says: func(ran time.Duration) string {
				return fmt.Sprintf("%d get data/y", min(ran, 7*time.Minute)/time.Minute)
			}, want: reasonStalled,
			text: "get data/y", after: 7*time.Minute + limit,
		},
		"never says how far it is": {says: func(time.Duration) string { return "- words" }},
		"cannot be heard": {
			says:  func(time.Duration) string { return "3 put data/x" },
			fails: func(time.Duration) error { return errors.New("dial tcp 10.0.0.1:10250: i/o timeout") },
		},
		"cannot be heard from some time on": {
			says: func(ran time.Duration) string {
				return fmt.Sprintf("%d put data/x", min(ran, 2*time.Minute)/time.Minute)
			},
			fails: func(ran time.Duration) error {
				if ran > 2*time.Minute {
					return errors.New("dial tcp 10.0.0.1:10250: i/o timeout")
				}
				return nil
			},
		},
		"on a node that is lost": {
			says:   func(time.Duration) string { return "3 put data/x" },
			fails:  func(time.Duration) error { return errors.New("dial tcp 10.0.0.1:10250: i/o timeout") },
			status: runningOn(corev1.ConditionFalse), want: reasonNodeLost, text: "node n1 has not answered for 4m", after: limit,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, kube, _ := fakeCluster(boundClaim())
				c.Relist = 10 * time.Second
				kube.PrependReactor("*", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
					if writes, ok := action.(clienttesting.UpdateAction); ok {
						writes.GetObject().(*corev1.Pod).Spec.NodeName = "n1"
					}
					return false, nil, nil
				})
				status := runningOn(corev1.ConditionTrue)
				if tt.status.ContainerStatuses != nil {
					status = tt.status
				}
				const step = 30 * time.Second
				statuses := []corev1.PodStatus{status}
				for range int(16 * time.Minute / step) {
					statuses = append(statuses, status)
				}
				playPodsEvery(kube, step, append(statuses, terminated(0, "Completed", "result"))...)
				begun := time.Now()
				ran := func() time.Duration { return time.Since(begun) - step }
				log, said := &kubeletLog{}, ""
				playLog(kube, func() *kubeletLog {
					if now := tt.says(ran()); now != said {
						said = now
						log.lines = append(log.lines, loggedLine{time.Now(), now})
					}
					return log
				}, func() error {
					if tt.fails == nil {
						return nil
					}
					return tt.fails(ran())
				})
				result, err := c.RunMover(t.Context(), MoverConfig{StallTimeout: limit, Sign: sign}, testMover(), nil)
				var failed *MoverError
				switch {
				case tt.want == "" && (err != nil || string(result) != "result"):
					t.Errorf("result %q, %v", result, err)
				case tt.want != "" && (!errors.As(err, &failed) || failed.Reason != tt.want || !strings.Contains(err.Error(), tt.text)):
					t.Errorf("error %v, want %s that says %q", err, tt.want, tt.text)
				case tt.want != "" && (ran() < tt.after-time.Minute || ran() > tt.after+time.Minute):
					t.Errorf("given up after %s, want %s", ran(), tt.after)
				}
				if left := leftOver(t, c); len(left) > 0 {
					t.Errorf("left in the cluster: %q", left)
				}
				time.Sleep(step) //nolint:forbidigo // the clock of the bubble, until the kubelet sees that there is no pod
			})
		})
	}
}

// followed is a running mover whose log stream the test controls.
func followed(log *kubeletLog) *moverRun {
	c, kube, _ := fakeCluster()
	playLog(kube, func() *kubeletLog { return log }, func() error { return nil })
	r := newMoverRun(c, MoverConfig{StallTimeout: 10 * time.Minute}, testMover(), nil)
	r.seen = "pod"
	r.start(moverJob(MoverConfig{}, testMover()))
	return r
}

// look looks at the mover once a second.
func (r *moverRun) look(minutes int) error {
	for range 60 * minutes {
		if err := r.stands(context.Background(), podWith(running)); err != nil {
			return err
		}
		time.Sleep(time.Second) //nolint:forbidigo // the clock of the bubble
	}
	return nil
}

// A dead stream brings nothing, although the mover makes progress. Before giving up on the mover, RunMover asks for its log.
func TestDeadStreamIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &kubeletLog{lines: []loggedLine{{time.Now(), "1"}}}
		r := followed(log)
		dropped := 0
		r.log.drop = func() { dropped++ }
		r.pulse.hear([]byte("1"), time.Now())
		if err := r.look(5); err != nil {
			t.Fatal(err)
		}
		log.lines = append(log.lines, loggedLine{time.Now(), "2"})
		if err := r.look(7); err != nil || dropped != 1 {
			t.Fatalf("the mover has got on, and its stream is dead: %v; the stream was dropped %d times", err, dropped)
		}
		r.pulse.hear([]byte("2"), time.Now()) // through the next stream
		if err := r.look(9); err != nil {
			t.Fatal(err)
		}
		if err := r.look(2); err == nil {
			t.Error("a mover that stood still for 11 minutes was not given up")
		}
	})
}

// While nobody looks, because the API server is away or this machine sleeps, nobody can say that a mover has stalled.
func TestTimeWithoutLooksDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := followed(&kubeletLog{lines: []loggedLine{{time.Now(), "1"}}})
		r.pulse.hear([]byte("1"), time.Now())
		if err := r.look(9); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute) //nolint:forbidigo // the clock of the bubble
		if err := r.look(9); err != nil {
			t.Errorf("after 20 minutes in which nobody looked: %v", err)
		}
		if err := r.look(2); err == nil {
			t.Error("a mover that stood still for 11 minutes was not given up")
		}
	})
}
