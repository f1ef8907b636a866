package limit

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/stsbackup/stsbackup/internal/wait"
)

const (
	// piecesPerSecond is how finely a second's bytes are cut: a tenth of a second is less than any time-out, so a slow
	// line looks slow, not broken.
	piecesPerSecond = 10
	// smallestPiece keeps a very low rate from making one system call for every few bytes.
	smallestPiece = 512
)

// pace is one direction's token bucket. A nil pace has no limit.
type pace struct {
	limiter *rate.Limiter
	now     func() time.Time
}

// newPace makes a token bucket that lets through perSecond bytes, or nil if that is not above zero.
func newPace(perSecond int64, now func() time.Time) *pace {
	if perSecond <= 0 {
		return nil
	}
	return &pace{limiter: rate.NewLimiter(rate.Limit(perSecond), int(max(perSecond/piecesPerSecond, smallestPiece))), now: now}
}

// piece is how many of n bytes to move before taking tokens again.
func (p *pace) piece(n int) int {
	if p == nil {
		return n
	}
	return min(n, p.limiter.Burst())
}

// take waits until n bytes may pass. The error is the cause of the context's end.
func (p *pace) take(ctx context.Context, n int) error {
	for n > 0 && p != nil {
		part := p.piece(n)
		if err := p.takePart(ctx, part); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

func (p *pace) takePart(ctx context.Context, n int) error {
	now := p.now()
	delay := p.limiter.ReserveN(now, n).DelayFrom(now)
	if delay == 0 {
		return nil
	}
	return wait.For(ctx, delay)
}
