package restore

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// tidyWithin bounds the work at the end, which also runs after an interruption.
const tidyWithin = time.Minute

// Limits bound the waits of a restore. Zero values mean the defaults.
type Limits struct {
	// Ready bounds the wait for the pods at the end: 10 minutes.
	Ready time.Duration
	// Down bounds the wait until all pods are gone, one by one: 2 minutes, plus each pod's grace period.
	Down time.Duration
	// Claim bounds the wait until one claim is gone or bound: 2 minutes.
	Claim time.Duration
	// Sweep bounds the wait until the leftovers of dead operations are gone: 2 minutes.
	Sweep time.Duration
	// PutBack bounds the whole of putting back: 15 minutes. Retry is the pause after a failure in it: 3 seconds.
	PutBack time.Duration
	Retry   time.Duration
}

func (l Limits) withDefaults(sts *appsv1.StatefulSet) Limits {
	set := func(limit *time.Duration, value time.Duration) {
		if *limit == 0 {
			*limit = value
		}
	}
	grace := 30 * time.Second
	if seconds := sts.Spec.Template.Spec.TerminationGracePeriodSeconds; seconds != nil {
		grace = time.Duration(*seconds) * time.Second
	}
	pods := max(cluster.Replicas(sts), sts.Status.Replicas)
	set(&l.Ready, 10*time.Minute)
	set(&l.Down, 2*time.Minute+time.Duration(pods)*grace)
	set(&l.Claim, 2*time.Minute)
	set(&l.PutBack, 15*time.Minute)
	set(&l.Retry, 3*time.Second)
	return l
}
