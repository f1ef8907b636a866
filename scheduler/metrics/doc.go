// Package metrics shows the state of a scheduler to programs: /metrics for Prometheus, /healthz and /readyz for
// Kubernetes.
//
// A scrape reads the scheduler's status at that moment. So series exist only for existing StatefulSets, and only from
// the leader; when a StatefulSet is gone, its series end by themselves.
//
// /healthz fails when the loop of a leader, or the one that reads the policy file, has stood still: then a restart
// helps. /readyz fails until the policies are loaded and the StatefulSets of the cluster are known. It does not fail if
// the bucket does not answer or a policy file was rejected: no restart repairs them, and Prometheus does not scrape
// what is not ready. The text of the probe and the metrics show both.
package metrics
