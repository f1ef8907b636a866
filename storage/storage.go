package storage

import (
	"context"
	"errors"
	"io"
	"time"
)

// Sentinel errors. Every Bucket wraps the failures of its medium in one of these, so that callers can tell with
// errors.Is what happened. The text in front of the sentinel names the object and the bucket and says what to do.
var (
	// ErrNotExist: there is no object with that name.
	ErrNotExist = errors.New("no such object")
	// ErrNoBucket: the bucket itself (or, for a directory, the directory) does not exist.
	ErrNoBucket = errors.New("no such bucket")
	// ErrCredentials: the credentials are missing, unknown, expired or do not sign correctly.
	ErrCredentials = errors.New("credentials refused")
	// ErrPermission: the credentials are valid but may not do this.
	ErrPermission = errors.New("permission denied")
	// ErrUnreachable: no answer from the endpoint, after retries: wrong address, no route, bad TLS, time-outs.
	ErrUnreachable = errors.New("endpoint unreachable")
	// ErrArchived: the object exists, but in an archive class from which it cannot be read.
	ErrArchived = errors.New("object is in an archive class")
	// ErrNoSpace: the medium is full or a quota is used up.
	ErrNoSpace = errors.New("no space left")
	// ErrRange: the requested range is not inside the object.
	ErrRange = errors.New("range outside the object")
	// ErrName: ValidName does not accept the name.
	ErrName = errors.New("invalid object name")
)

// Info describes one stored object.
type Info struct {
	// Name is the object's full name in the bucket.
	Name string
	// Size is its length in bytes.
	Size int64
	// Modified is when the object was last stored, by the clock of the medium, to the second at least.
	Modified time.Time
	// Archived says that the object is in a storage class from which it may not be readable at once. Only List sets it.
	Archived bool
}

// Bucket keeps objects: immutable byte strings under slash-separated names (see ValidName).
//
// Obligations of every implementation, checked by the contract suite in package storagetest:
//
//   - Atomic visibility: an object is either absent or whole. A Put that fails, is cancelled or dies with its
//     process leaves no object, or the whole one; never a part.
//   - Durability: when Put returns nil the object survives a crash of this machine.
//   - Read-after-write: after Put returns nil, Get, Stat and List of any client see the object; after Delete
//     returns nil, they do not.
//   - Names: every name that ValidName accepts can be used, except a name that is also the folder of another
//     object ("a" beside "a/b"): a Put with such a name may fail with ErrName, and then changes nothing.
//   - Errors are the sentinels above, wrapped; a cancelled context gives an error that wraps context.Cause.
//   - The implementation retries transient failures (5xx, time-outs, throttling, resets), with backoff and within
//     the context; an error that comes out is final.
//   - All methods may be called concurrently, and return promptly when their context ends.
type Bucket interface {
	// Get opens length bytes of the object from offset on; a negative length means to the object's end. The caller
	// closes the reader. A stream that breaks ends with an error, never with an early io.EOF. Get returns ErrNotExist
	// if there is no such object, and ErrRange if offset or offset+length lies beyond the object's end.
	Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)
	// Put stores data under name. It replaces an object with that name atomically, so a retry is harmless. It does not
	// keep data after the call returns, and does not change data.
	Put(ctx context.Context, name string, data []byte) error
	// Stat describes the object, or fails with ErrNotExist.
	Stat(ctx context.Context, name string) (Info, error)
	// List calls fn for every object whose name starts with prefix, in lexical order of the full names, and stops
	// at fn's first error, which it returns unwrapped. The prefix ends at any character, not only at a slash.
	List(ctx context.Context, prefix string, fn func(Info) error) error
	// Delete removes the object. If the object does not exist, that is no error.
	Delete(ctx context.Context, name string) error
	// String names the bucket, for messages: never with a secret in it.
	String() string
}
