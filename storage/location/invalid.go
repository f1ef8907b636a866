package location

import "fmt"

// InvalidError says that somebody has written a URL, a limit, or the environment variable for one, wrongly. Then
// nothing has been opened.
type InvalidError struct{ err error }

func (e *InvalidError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *InvalidError) Unwrap() error { return e.err }

func invalidf(format string, args ...any) error {
	return &InvalidError{err: fmt.Errorf(format, args...)}
}
