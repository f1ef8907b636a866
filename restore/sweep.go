package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// sweep removes what dead operations have left. It reports what does not go. That does no harm, because each
// operation has its own names, with one exception: a pod that mounts a claim to be replaced or put back. That
// claim cannot go before the pod, and the pod may still write to it.
func (x *run) sweep(ctx context.Context) error {
	swept, err := x.Cluster.Sweep(ctx, x.op, cluster.Removing{Limit: x.Limits.Sweep, Waiting: x.Reporter.Note})
	for _, what := range swept.Removed {
		x.Reporter.Note("removed what a dead operation has left: " + what)
	}
	if err != nil {
		return fmt.Errorf("remove what dead operations have left: %w", err)
	}
	var inTheWay []*cluster.Leftover
	for _, left := range swept.Left {
		if slices.Contains(left.Mounts, left.Claim) && (x.plan.Interrupted != "" || x.plan.replaces(left.Claim)) {
			inTheWay = append(inTheWay, left)
		}
	}
	if len(inTheWay) > 0 {
		return refuseFor(x.op, inTheWay)
	}
	for _, left := range swept.Left {
		x.Reporter.Warn("left by a dead operation: " + left.Error())
	}
	return nil
}

// replaces reports whether the plan makes the claim of that name anew.
func (p *Plan) replaces(claim string) bool {
	return slices.ContainsFunc(p.Volumes, func(v Volume) bool { return v.Claim == claim })
}

// refuseFor refuses a restore because of pods that do not go.
func refuseFor(op cluster.Operation, pods []*cluster.Leftover) error {
	var reasons, steps []string
	for _, pod := range pods {
		reasons = append(reasons, fmt.Sprintf("%s on node %s, which a dead operation has left, mounts claim %s: %s",
			pod.Object, pod.Node, strings.Join(pod.Mounts, ", "), pod.Reason))
		if pod.Next != "" {
			steps = append(steps, pod.Next)
		}
	}
	if len(steps) == 0 {
		steps = []string{"wait until they are gone"}
	}
	return &cluster.Refusal{
		Object: op.Object(), Reason: strings.Join(reasons, "; "),
		Next: strings.Join(steps, "; ") + "; then run the command again",
	}
}
