package storage

import (
	"context"
	"errors"
	"io"
	"time"
)

// Sentinel errors. Every Bucket wraps the failures of its medium in one of these, so that callers can tell with
// errors.Is what happened; the text in front of the sentinel names the object and the bucket and says what to do.
var (
	// ErrNotExist: there is no object of that name.
	ErrNotExist = errors.New("no such object")
	// ErrNoBucket: the bucket itself (or, for a directory, the directory) does not exist.
	ErrNoBucket = errors.New("no such bucket")
	// ErrCredentials: the credentials are missing, unknown, expired or do not sign correctly.
	ErrCredentials = errors.New("credentials refused")
	// ErrPermission: the credentials are good but may not do this.
	ErrPermission = errors.New("permission denied")
	// ErrUnreachable: no answer from the endpoint, after retries: wrong address, no route, bad TLS, time-outs.
	ErrUnreachable = errors.New("endpoint unreachable")
	// ErrArchived: the object is there, in an archive class from which it cannot be read.
	ErrArchived = errors.New("object is in an archive class")
	// ErrNoSpace: the medium is full or a quota is used up.
	ErrNoSpace = errors.New("no space left")
	// ErrRange: the range asked for does not lie inside the object.
	ErrRange = errors.New("range outside the object")
	// ErrName: the name is not one that ValidName accepts.
	ErrName = errors.New("invalid object name")
)

// Info describes one stored object.
type Info struct {
	// Name is the object's full name in the bucket.
	Name string
	// Size is its length in bytes.
	Size int64
	// Modified is when it was stored last, by the clock of the medium, to the second at least.
	Modified time.Time
	// Archived says that it is in a class of storage from which it may not be read at once. Only a List tells.
	Archived bool
}

// Bucket keeps objects: immutable byte strings under slash-separated names (see ValidName).
//
// Obligations of every implementation, held by the contract suite in package storagetest:
//
//   - Atomic visibility: an object is either absent or whole. A Put that fails, is cancelled or dies with its
//     process leaves no object, or the whole one; never a part.
//   - Durability: when Put returns nil the object survives a crash of this machine.
//   - Read-after-write: after Put returns nil, Get, Stat and List of any client see the object; after Delete
//     returns nil, they do not.
//   - Names: every name that ValidName accepts can be used, except one that is at the same time the folder of
//     another object ("a" beside "a/b"): a Put of that may fail with ErrName, and then changes nothing.
//   - Errors are the sentinels above, wrapped; a cancelled context gives an error that wraps context.Cause.
//   - Transient failures (5xx, time-outs, throttling, resets) are retried inside, with backoff and within the
//     context; what comes out is final.
//   - All methods may be called concurrently, and return promptly when their context ends.
type Bucket interface {
	// Get opens length bytes of the object from offset on; a negative length means to its end. The caller closes
	// the reader. A stream that breaks ends with an error, never with an early io.EOF. ErrNotExist if there is no
	// such object, ErrRange if offset or offset+length lies beyond its end.
	Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)
	// Put stores data under name. An object of that name is replaced atomically, so a retry is harmless. Data is
	// not kept after the call returns, nor changed.
	Put(ctx context.Context, name string, data []byte) error
	// Stat describes the object, or fails with ErrNotExist.
	Stat(ctx context.Context, name string) (Info, error)
	// List calls fn for every object whose name starts with prefix, in lexical order of the full names, and stops
	// at fn's first error, which it returns unwrapped. The prefix ends at any character, not only at a slash.
	List(ctx context.Context, prefix string, fn func(Info) error) error
	// Delete removes the object. Removing one that does not exist is no error.
	Delete(ctx context.Context, name string) error
	// String says which bucket this is, for messages: never with a secret in it.
	String() string
}
