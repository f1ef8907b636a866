package cluster

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
)

// TestQuotaFull tells a quota that has no room now from one into which the object never fits.
func TestQuotaFull(t *testing.T) {
	for message, want := range map[string]struct{ full, never bool }{
		"exceeded quota: q, requested: pods=1, used: pods=4, limited: pods=4":                   {full: true},
		"exceeded quota: q, requested: limits.cpu=2, used: limits.cpu=0, limited: limits.cpu=1": {never: true},
		"exceeded quota: q, requested: limits.memory=1Gi,pods=1, used: limits.memory=0,pods=0, " +
			"limited: limits.memory=512Mi,pods=9": {never: true},
		"exceeded quota: q, requested: limits.memory=1Gi, used: limits.memory=1Gi, limited: limits.memory=1536Mi": {full: true},
		"exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0":                                     {never: true},
		"exceeded quota: q, as a later API server says it in words of its own":                                    {full: true},
		"failed quota: q: must specify limits.cpu for: mover":                                                     {},
		"violates PodSecurity": {},
	} {
		if full, never := quotaFull(message), neverFits(message); full != want.full || never != want.never {
			t.Errorf("%q: full %t, never fits %t, want %+v", message, full, never, want)
		}
	}
}

// TestRoomInQuotas: all objects of a mover wait, for a while, for a quota that still counts what was just deleted.
func TestRoomInQuotas(t *testing.T) {
	for _, resource := range []string{"jobs", "secrets", "serviceaccounts"} {
		for name, tt := range map[string]struct {
			message string
			frees   time.Duration // after this time; zero is never
			within  time.Duration
			fails   bool
		}{
			"noticed late":   {message: "exceeded quota: q, requested: x=1, used: x=1, limited: x=1", frees: 20 * time.Second, within: time.Minute},
			"full":           {message: "exceeded quota: q, requested: x=1, used: x=1, limited: x=1", fails: true, within: time.Minute},
			"never fits":     {message: "exceeded quota: q, requested: x=1, used: x=0, limited: x=0", fails: true, within: time.Second},
			"something else": {message: "no", fails: true, within: time.Second},
		} {
			t.Run(resource+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, kube, _ := fakeCluster(boundClaim())
					playPods(kube, running, terminated(0, "Completed", "result"))
					begun := time.Now()
					kube.PrependReactor("create", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
						if tt.frees > 0 && time.Since(begun) >= tt.frees {
							return false, nil, nil
						}
						return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "x", errors.New(tt.message))
					})
					result, err := c.RunMover(t.Context(), MoverConfig{}, testMover(), nil)
					if tt.fails != (err != nil) || !tt.fails && string(result) != "result" {
						t.Errorf("result %q, %v", result, err)
					}
					if took := time.Since(begun); took > tt.within {
						t.Errorf("it took %s", took)
					}
					if left := leftOver(t, c); len(left) > 0 {
						t.Errorf("left in the cluster: %q", left)
					}
				})
			})
		}
	}
}

// TestMoverWaitsForOthers: a pod for which a quota has no room waits for as long as other movers of the operation run.
func TestMoverWaitsForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := fakeCluster(boundClaim())
		begun := time.Now()
		m := testMover()
		m.Busy = func() bool { return time.Since(begun) < time.Hour }
		run := newMoverRun(c, MoverConfig{StartTimeout: time.Minute}, m, nil)
		state := podState{reason: reasonRefused, message: "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"}
		for time.Since(begun) < time.Hour {
			if err := run.judge(t.Context(), state); err != nil {
				t.Fatalf("given up after %s: %v", time.Since(begun), err)
			}
			<-time.After(explainEvery)
		}
		for time.Since(begun) < 2*time.Hour {
			if err := run.judge(t.Context(), state); err != nil {
				if took := time.Since(begun); took > time.Hour+2*time.Minute {
					t.Errorf("given up after %s", took)
				}
				return
			}
			<-time.After(explainEvery)
		}
		t.Error("it waits for ever")
	})
}
