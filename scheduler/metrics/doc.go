// Package metrics shows the state of a scheduler to programs: /metrics for Prometheus, /healthz and /readyz for Kubernetes.
//
// A scrape reads the scheduler's status at that moment. So there are series only for StatefulSets that there are, and only
// from the scheduler that leads; those of StatefulSets that have gone end by themselves.
//
// /healthz fails when the loop of a leader, or the one that looks at the policy file, has stood still: a restart helps then.
// /readyz fails until the policies are loaded and the StatefulSets of the cluster are known. A bucket that does not answer
// and a policy file that was rejected are no reason to fail, because no restart mends them, and what is not ready is not
// scraped; they are said in the text, and are metrics.
package metrics
