package cluster

import (
	"errors"
	"fmt"
)

// ErrNotFound is wrapped by errors that say that the object a user named does not exist.
var ErrNotFound = errors.New("not found")

// ErrBusy is wrapped by refusals that will pass by themselves: somebody else is at work.
var ErrBusy = errors.New("another operation is under way")

// Refusal is the error of a preflight check: nothing has been changed, and nothing will be until the user acts.
type Refusal struct {
	// Object is what the refusal is about: "StatefulSet demo/web", "claim demo/www-web-0".
	Object string
	// Reason says why the operation is refused.
	Reason string
	// Next says what to do now.
	Next string
	// Err identifies the refusal to programs; nil if there is nothing to identify it by.
	Err error
}

// Unwrap returns Err.
func (r *Refusal) Unwrap() error { return r.Err }

// Error joins the three parts in one line.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s: %s; %s", r.Object, r.Reason, r.Next)
}
