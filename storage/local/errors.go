package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/stsbackup/stsbackup/storage"
)

// fail says what failed on which object, as a sentinel if there is one for it, and what to do.
func (b *Bucket) fail(verb, name string, err error) error {
	what := verb
	if name != "" {
		what += " " + name + " in"
	}
	hint, sentinel := classify(err)
	switch {
	case sentinel == nil:
		return fmt.Errorf("%s %s: %w", what, b, err)
	case hint == "":
		return fmt.Errorf("%s %s: %w", what, b, sentinel)
	default:
		return fmt.Errorf("%s %s: %w: %s", what, b, sentinel, hint)
	}
}

func (b *Bucket) noBucket(verb, name string) error {
	if name != "" {
		name += " in "
	}
	return fmt.Errorf("%s %s%s: %w: there is no such directory; create it, or mount the file system that it is on",
		verb, name, b, storage.ErrNoBucket)
}

// classify says what to do about a failure of the file system, and finds the sentinel for it: nil if there is none.
func classify(err error) (hint string, sentinel error) {
	var end *endedError
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	switch {
	case errors.As(err, &end):
		return "", nil
	case is(storage.ErrName):
		return "", storage.ErrName
	case is(storage.ErrRange):
		return "", storage.ErrRange
	case is(syscall.ENAMETOOLONG):
		return "this file system does not take names that long", storage.ErrName
	case is(syscall.EISDIR, syscall.ENOTEMPTY, syscall.EEXIST):
		return "there is a folder of that name", storage.ErrName
	case is(fs.ErrNotExist, syscall.ENOTDIR):
		return "", storage.ErrNotExist
	case is(syscall.EROFS):
		return "the file system is mounted read-only", storage.ErrPermission
	case is(fs.ErrPermission):
		return fmt.Sprintf(
			"user %d needs to read and write there; change its owner or mode, or run as its owner",
			os.Geteuid(),
		), storage.ErrPermission
	case is(syscall.ENOSPC):
		return "free some space on that file system, or enlarge it", storage.ErrNoSpace
	case is(syscall.EDQUOT):
		return "the disk quota is used up; free some space, or raise it", storage.ErrNoSpace
	case is(syscall.ESTALE, syscall.ETIMEDOUT, syscall.EHOSTDOWN, syscall.EHOSTUNREACH):
		return "the file server does not answer; check the mount", storage.ErrUnreachable
	}
	return "", nil
}

// endedError is why a context ended: whatever it wraps, it is no failure of the file system.
type endedError struct{ cause error }

func (e *endedError) Error() string { return e.cause.Error() }
func (e *endedError) Unwrap() error { return e.cause }

func ended(ctx context.Context) error { return &endedError{context.Cause(ctx)} }
