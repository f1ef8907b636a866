package storage

import (
	"context"
	"crypto/sha256"
)

type sumKey struct{}

// WithSum tells a Put that is made with the context the SHA-256 of its data, which a bucket that needs it would otherwise
// have to find out by itself. It reaches the bucket through whatever lies between. A Put with another sum than that of its
// data fails, or has not used the sum: it never stores something as what it is not.
func WithSum(ctx context.Context, sum [sha256.Size]byte) context.Context {
	return context.WithValue(ctx, sumKey{}, sum)
}

// Sum is the SHA-256 of data: what WithSum has told, or else found out now.
func Sum(ctx context.Context, data []byte) [sha256.Size]byte {
	if sum, ok := ctx.Value(sumKey{}).([sha256.Size]byte); ok {
		return sum
	}
	return sha256.Sum256(data)
}
