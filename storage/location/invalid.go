package location

import "fmt"

// InvalidError says that a URL, a limit, or the environment that stands in for one, is written wrongly. Nothing has been
// opened then.
type InvalidError struct{ err error }

func (e *InvalidError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *InvalidError) Unwrap() error { return e.err }

func invalidf(format string, args ...any) error {
	return &InvalidError{err: fmt.Errorf(format, args...)}
}
