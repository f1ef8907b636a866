package storage

import "context"

type doubtKey struct{}

// WithDoubt says that the caller removes something depending on the listings that it makes with this context. Some
// services end a listing early and say that it is complete. So when a listing ends, a bucket whose service may do that
// asks again for what comes after the last name, until nothing does. The doubt reaches the bucket through every layer
// in between.
func WithDoubt(ctx context.Context, doubt bool) context.Context {
	if InDoubt(ctx) == doubt {
		return ctx
	}
	return context.WithValue(ctx, doubtKey{}, doubt)
}

// InDoubt returns what WithDoubt has set.
func InDoubt(ctx context.Context) bool {
	doubt, _ := ctx.Value(doubtKey{}).(bool)
	return doubt
}
