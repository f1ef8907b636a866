package cluster

import (
	"cmp"
	"context"
	"time"
)

// probeTimeout is how long a probe may run without getting on: it has little to do.
const probeTimeout = 2 * time.Minute

// ProbeMover is RunMover for one that mounts no claim, whatever m says. Whether it can be placed, is admitted, gets its
// image, and reaches the bucket from where it is, others will too that are like it: so it is run before anything is changed
// that could not be finished without them.
func (c *Client) ProbeMover(ctx context.Context, cfg MoverConfig, m Mover) (result []byte, err error) {
	m.Mount = ""
	cfg.StallTimeout = min(cmp.Or(cfg.StallTimeout, stallTimeout), probeTimeout)
	return c.RunMover(ctx, cfg, m, nil)
}
