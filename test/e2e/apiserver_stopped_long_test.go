//go:build e2e && e2elong

package e2e

import (
	"testing"
	"time"
)

// TestLongAPIServerStopped stops the API server of the cluster, for everybody, for as long as one may be away. The
// mover of the restore goes on for longer than that; the mover of the backup ends meanwhile, and nobody hears of that
// before the API server is back. make test-acts runs it; no other test can run beside it. TestSchedulerInTrouble does
// the same for half a minute.
func TestLongAPIServerStopped(t *testing.T) {
	for _, away := range []time.Duration{2 * time.Minute, 10 * time.Minute} {
		t.Run(away.String(), func(t *testing.T) {
			w := newWork(t, 10*time.Minute+2*away, away+30*time.Second, 20*time.Second)
			w.begin()
			stopped := time.Now()
			again := w.without("kube-apiserver")
			w.stopped(stopped, away)
			again()
			t.Logf("the API server was away for %s", time.Since(stopped).Round(time.Second))
			w.back()
			w.end()
		})
	}
}
