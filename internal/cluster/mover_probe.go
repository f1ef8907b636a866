package cluster

import (
	"cmp"
	"context"
	"time"
)

// probeTimeout is how long a probe may run without progress: it has little to do.
const probeTimeout = 2 * time.Minute

// ProbeMover is RunMover for a mover that mounts no claim, whatever m says. If the probe can be placed, is
// admitted, gets its image and reaches the bucket from its node, then other movers like it will, too. So run it
// before any change that could not be finished without movers.
func (c *Client) ProbeMover(ctx context.Context, cfg MoverConfig, m Mover) (result []byte, err error) {
	m.Mount = ""
	cfg.StallTimeout = min(cmp.Or(cfg.StallTimeout, stallTimeout), probeTimeout)
	return c.RunMover(ctx, cfg, m, nil)
}
