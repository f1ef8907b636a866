package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stsbackup/stsbackup/scheduler"
)

// Source is what the metrics and probes show.
type Source struct {
	// Status and Policies return the present state.
	Status   func() scheduler.Status
	Policies func() scheduler.PoliciesState
	// Synced reports whether the StatefulSets of the cluster are known, and Problem what prevents that; nil if no
	// problem is known.
	Synced  func() bool
	Problem func() error
	Now     func() time.Time
}

// collector turns a status into metrics.
type collector struct {
	source Source
	metrics
}

// metrics are all metrics.
type metrics struct {
	leader, policies, policiesLoaded, policiesValid, bucketFailing, passwordFailing, repositoryFailing *prometheus.Desc
	policy, problem, lastSuccess, lastAttempt, due, overdue, running, failures                         *prometheus.Desc
	backups, givenUp, read, stored, phase, forgetFailures                                              *prometheus.Desc
	pruneLast, pruneFailed, pruneScheduled, verifyLast, verifyFailed, verifyPlanned, verifyDamaged     *prometheus.Desc
	displacedVolumes, displacedBytes, discarded, discardFailed                                         *prometheus.Desc
}

// one describes a metric of the scheduler as a whole.
func one(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("stsbackup_"+name, help, labels, nil)
}

// each describes a metric that each StatefulSet has.
func each(name, help string, labels ...string) *prometheus.Desc {
	return one(name, help, append([]string{"namespace", "statefulset"}, labels...)...)
}

func newMetrics() metrics {
	return metrics{
		leader:         one("scheduler_leader", "1 if this scheduler is the one that acts; all metrics of StatefulSets come from it."),
		policies:       one("policies", "How many policies are in force."),
		policiesLoaded: one("policies_loaded_timestamp_seconds", "When the policies that are in force were loaded."),
		policiesValid:  one("policies_valid", "0 if the policy file as it is now was rejected, and the one before is in force."),
		bucketFailing:  one("bucket_failing_seconds", "For how long the bucket as a whole could not be used; 0 if it can be."),
		passwordFailing: one(
			"password_failing_seconds",
			"For how long the root password has opened no repository, though the bucket answers; 0 if it opens one.",
		),

		repositoryFailing: each("repository_failing_seconds", "For how long recovery points could not be listed; 0 if they can be."),

		policy:      each("backup_policy_info", "1; the policy that a StatefulSet has.", "policy", "suspended"),
		problem:     each("backup_policy_unknown", "1 if the annotation of a StatefulSet names no policy, so that it is not backed up."),
		lastSuccess: each("backup_last_success_timestamp_seconds", "When the newest complete recovery point was begun; 0 if there is none."),
		lastAttempt: each(
			"backup_last_attempt_timestamp_seconds", "When the last backup attempt began, whatever its outcome; 0 if there was none.",
		),
		due: each(
			"backup_due_timestamp_seconds",
			"When the next complete recovery point is to be begun, so that the schedule is kept; in the past if that is overdue.",
		),
		overdue:  each("backup_overdue_seconds", "For how long a complete recovery point has been due; 0 if the schedule is kept."),
		running:  each("backup_running", "1 while a backup runs."),
		failures: each("backup_failed_tries", "How many tries have failed since the last one that did not."),
		backups:  each("backups_total", "Backups that were tried, by what became of them.", "result"),
		givenUp:  each("backups_given_up_total", "Runs that were given up: at their deadline, when the next was due, or refused by a check."),
		read:     each("backup_read_bytes_total", "What backups have read of volumes."),
		stored:   each("backup_stored_bytes_total", "What backups have added to the bucket."),
		phase:    each("backup_duration_seconds", "How long each phase of the last complete backup took, and all of it (phase total).", "phase"),

		forgetFailures: each("forget_failures_total", "How often what is no longer kept could not be removed after a backup."),
		pruneScheduled: each("prune_scheduled", "1 if the policy has a schedule for prune."),
		pruneLast:      each("prune_last_success_timestamp_seconds", "When prune was last done; 0 if not since this scheduler leads."),
		pruneFailed:    each("prune_failed", "1 if the last prune was given up."),
		verifyPlanned:  each("verify_scheduled", "1 if the policy has a schedule for verify."),
		verifyLast: each(
			"verify_last_success_timestamp_seconds",
			"When recovery points were last verified; 0 if not since this scheduler leads.",
		),
		verifyFailed:  each("verify_failed", "1 if the last verification could not be done; it tells nothing of the data."),
		verifyDamaged: each("verify_damaged", "1 if the last verification has found damage: look at once."),

		displacedVolumes: each(
			"displaced_volumes",
			"How many volumes restores have set aside, which cost storage until they are freed; also of StatefulSets that are gone.",
		),
		displacedBytes: each("displaced_bytes", "The size of the volumes that restores have set aside."),
		discarded:      each("discarded_volumes_total", "How many volumes that restores had set aside were freed, as the policy says."),
		discardFailed: each(
			"discard_failed",
			"1 if what restores have set aside could not be freed, as the policy says, when that was last tried.",
		),
	}
}

// Describe says which metrics there are.
func (c *collector) Describe(descriptions chan<- *prometheus.Desc) {
	m := c.metrics
	for _, d := range []*prometheus.Desc{
		m.leader, m.policies, m.policiesLoaded, m.policiesValid, m.bucketFailing, m.passwordFailing, m.repositoryFailing,
		m.policy, m.problem, m.lastSuccess, m.lastAttempt, m.due, m.overdue, m.running, m.failures,
		m.backups, m.givenUp, m.read, m.stored, m.phase, m.forgetFailures,
		m.pruneLast, m.pruneFailed, m.pruneScheduled, m.verifyLast, m.verifyFailed, m.verifyPlanned, m.verifyDamaged,
		m.displacedVolumes, m.displacedBytes, m.discarded, m.discardFailed,
	} {
		descriptions <- d
	}
}

// Collect sends the present metrics.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	status, policies, now := c.source.Status(), c.source.Policies(), c.source.Now()
	gauge := func(d *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	gauge(c.leader, truth(status.Leading))
	gauge(c.policies, float64(policies.Policies))
	gauge(c.policiesLoaded, unix(policies.Loaded))
	gauge(c.policiesValid, truth(policies.Error == ""))
	if status.Leading {
		gauge(c.bucketFailing, since(status.BucketFailing, now))
		gauge(c.passwordFailing, since(status.PasswordFailing, now))
	}
	for _, set := range status.StatefulSets {
		c.collectSet(out, set, now)
	}
	for _, d := range status.Displaced {
		out <- prometheus.MustNewConstMetric(c.displacedVolumes, prometheus.GaugeValue, float64(d.Volumes), d.Namespace, d.StatefulSet)
		out <- prometheus.MustNewConstMetric(c.displacedBytes, prometheus.GaugeValue, float64(d.Bytes), d.Namespace, d.StatefulSet)
	}
}

// collectSet sends the metrics of one StatefulSet.
func (c *collector) collectSet(out chan<- prometheus.Metric, set scheduler.StatefulSetStatus, now time.Time) {
	send := func(kind prometheus.ValueType) func(*prometheus.Desc, float64, ...string) {
		return func(d *prometheus.Desc, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, kind, value, append([]string{set.Namespace, set.StatefulSet}, labels...)...)
		}
	}
	gauge, counter := send(prometheus.GaugeValue), send(prometheus.CounterValue)
	if set.Problem != "" {
		gauge(c.problem, 1)
	}
	if set.Policy == "" {
		return // nothing is owed
	}
	gauge(c.policy, 1, set.Policy, yesNo(set.Suspended))
	gauge(c.repositoryFailing, since(set.RepositoryFailing, now))
	if set.Known {
		gauge(c.lastSuccess, unix(set.LastSuccess))
		gauge(c.lastAttempt, unix(set.LastAttempt))
	}
	if !set.Objective.IsZero() {
		gauge(c.due, unix(set.Objective))
		gauge(c.overdue, since(set.Objective, now))
	}
	gauge(c.running, truth(set.Running))
	gauge(c.failures, float64(set.Failures))
	counter(c.backups, float64(set.Succeeded), "complete")
	counter(c.backups, float64(set.Failed), "failed")
	counter(c.givenUp, float64(set.GivenUp))
	counter(c.read, float64(set.BytesRead))
	counter(c.stored, float64(set.BytesStored))
	counter(c.forgetFailures, float64(set.ForgetFailed))
	if set.Took > 0 {
		gauge(c.phase, set.Took.Seconds(), "total")
	}
	for phase, took := range set.Phases {
		if phase != "total" {
			gauge(c.phase, took.Seconds(), phase)
		}
	}
	gauge(c.pruneScheduled, truth(set.Prune.Scheduled))
	gauge(c.verifyPlanned, truth(set.Verify.Scheduled))
	if set.Prune.Scheduled {
		gauge(c.pruneLast, unix(set.Prune.LastSuccess))
		gauge(c.pruneFailed, truth(set.Prune.Failed))
	}
	if set.Discard.Scheduled {
		counter(c.discarded, float64(set.Discard.Volumes))
		gauge(c.discardFailed, truth(set.Discard.Failed))
	}
	if set.Verify.Scheduled {
		gauge(c.verifyLast, unix(set.Verify.LastSuccess))
		gauge(c.verifyFailed, truth(set.Verify.Failed))
		gauge(c.verifyDamaged, truth(set.Verify.Damaged))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// unix is a time in seconds; 0 if there is none.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// since is how many seconds ago a time was; 0 if there is no time, or it is in the future.
func since(t, now time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(0, now.Sub(t).Seconds())
}
