package scheduler

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// TestArguments: the scheduler asks the operations for what the policy says.
func TestArguments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(
			t,
			`- {name: all, select: {namespaces: ["*"]}, schedule: "30 2 * * *", timeZone: Europe/Berlin, backup: {method: live, parallel: 3}, `+
				`keep: {last: 2}, verify: {schedule: "0 5 * * *", readData: 5%}}`+"\n",
			"demo/web",
		)
		w.lead(t, 6*time.Hour)
		want := map[string]any{"backup": policy.Backup{Method: "live", Parallel: 3}, "forget": "2 in Europe/Berlin", "verify": 0.05}
		if diff := cmp.Diff(want, w.asked); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
