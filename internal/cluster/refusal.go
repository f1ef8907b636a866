package cluster

import (
	"errors"
	"fmt"
)

// ErrNotFound is wrapped by errors that say that the object a user named does not exist.
var ErrNotFound = errors.New("not found")

// ErrBusy is wrapped by refusals that end by themselves: somebody else is at work.
var ErrBusy = errors.New("another operation is under way")

// Refusal is the error of a preflight check: nothing has been changed, and nothing will be until the user acts.
type Refusal struct {
	// Object is what the refusal is about: "StatefulSet demo/web", "claim demo/www-web-0".
	Object string
	// Reason says why it is refused.
	Reason string
	// Next says what to do now.
	Next string
	// Err is what programs can tell it by; nil if there is nothing more to tell.
	Err error
}

// Unwrap returns Err.
func (r *Refusal) Unwrap() error { return r.Err }

// Error gives the three parts in one line.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s: %s; %s", r.Object, r.Reason, r.Next)
}
