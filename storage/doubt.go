package storage

import "context"

type doubtKey struct{}

// WithDoubt says that what is removed depends on the listings that are made with the context. Some services end a listing early
// and say that it is whole. So a bucket whose listings may do that asks, when one has ended, once more for what comes after its
// last name, until nothing does. It reaches the bucket through whatever lies between.
func WithDoubt(ctx context.Context, doubt bool) context.Context {
	if InDoubt(ctx) == doubt {
		return ctx
	}
	return context.WithValue(ctx, doubtKey{}, doubt)
}

// InDoubt is what WithDoubt has said.
func InDoubt(ctx context.Context) bool {
	doubt, _ := ctx.Value(doubtKey{}).(bool)
	return doubt
}
