package storage

import (
	"context"
	"crypto/sha256"
)

type sumKey struct{}

// WithSum tells a Put that uses the context the SHA-256 of its data, which the bucket would otherwise have to compute
// if it needs it. The sum reaches the bucket through every layer in between. If the sum is not that of the data, the
// Put fails, or has not used the sum: it never stores data under a wrong sum.
func WithSum(ctx context.Context, sum [sha256.Size]byte) context.Context {
	return context.WithValue(ctx, sumKey{}, sum)
}

// Sum returns the SHA-256 of data: the one from WithSum, or else it computes the sum now.
func Sum(ctx context.Context, data []byte) [sha256.Size]byte {
	if sum, ok := ctx.Value(sumKey{}).([sha256.Size]byte); ok {
		return sum
	}
	return sha256.Sum256(data)
}
