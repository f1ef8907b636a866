package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/stsbackup/stsbackup/storage"
)

// ErrFault is the error of operations that Faulty makes fail, unless Fault.Err says otherwise.
var ErrFault = errors.New("planned fault")

// Verb names a method of storage.Bucket.
type Verb string

// The methods of storage.Bucket, and of storage.FolderLister, that count as operations.
const (
	Get     Verb = "get"
	Put     Verb = "put"
	Stat    Verb = "stat"
	List    Verb = "list"
	Delete  Verb = "delete"
	Folders Verb = "folders"
)

// Operation is one call to a Faulty.
type Operation struct {
	Verb Verb
	// Name is the object, or the prefix of a List or Folders.
	Name string
}

// How says how an operation fails.
type How string

// The ways to fail.
const (
	// Before: the operation fails and has done nothing.
	Before How = "before"
	// After: the operation is done, and yet it fails: the answer got lost. A List fails after its last object, a Get
	// after the last byte of its stream.
	After How = "after"
	// Torn: the operation fails half-way. A List fails after its first object, a Get after half of its bytes, and a Put
	// leaves an object with half of its data. No Bucket may do that, but readers must be able to tell all the same. A
	// Stat, a Delete and a Folders fail as with Before.
	Torn How = "torn"
)

// Fault is the plan of a Faulty.
type Fault struct {
	// At is the operation that fails, counted from 1 among those that Match; 0 means none.
	At int
	// How it fails. The zero value is Before.
	How How
	// Stop makes every later operation fail too, with nothing done: the process has died at that point, or the medium
	// is gone for good. Without Stop only that one operation fails.
	Stop bool
	// Match chooses the operations that count; nil means all.
	Match func(Operation) bool
	// Err is the operation's error; nil means ErrFault.
	Err error
}

// Changes is a Fault.Match that counts only operations that change the bucket: the points at which a crash can leave
// different states behind.
func Changes(op Operation) bool { return op.Verb == Put || op.Verb == Delete }

// Faulty is a Bucket whose operations fail as planned. It serves concurrent callers like any other.
type Faulty struct {
	bucket storage.Bucket
	fault  Fault

	mu         sync.Mutex
	operations []Operation
	fired      bool
}

// NewFaulty wraps bucket. With a zero Fault it only counts.
func NewFaulty(bucket storage.Bucket, fault Fault) *Faulty {
	if fault.Err == nil {
		fault.Err = ErrFault
	}
	return &Faulty{bucket: bucket, fault: fault}
}

// Operations returns the operations so far that Match, in the order in which they began.
func (f *Faulty) Operations() []Operation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.operations)
}

// Fired reports whether the planned fault has happened.
func (f *Faulty) Fired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

// begin counts an operation and says how it must fail; "" means that it succeeds.
func (f *Faulty) begin(op Operation) How {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fired && f.fault.Stop {
		return Before
	}
	if f.fault.Match != nil && !f.fault.Match(op) {
		return ""
	}
	f.operations = append(f.operations, op)
	if len(f.operations) != f.fault.At {
		return ""
	}
	f.fired = true
	if f.fault.How == "" {
		return Before
	}
	return f.fault.How
}

func (f *Faulty) failure(op Operation) error {
	return fmt.Errorf("%s %s in %s: %w", op.Verb, op.Name, f.bucket, f.fault.Err)
}

// Get implements storage.Bucket.
func (f *Faulty) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	op := Operation{Get, name}
	how := f.begin(op)
	if how == Before {
		return nil, f.failure(op)
	}
	reader, err := f.bucket.Get(ctx, name, offset, length)
	if err != nil || how == "" {
		return reader, err
	}
	data, err := io.ReadAll(reader)
	if err := errors.Join(err, reader.Close()); err != nil {
		return nil, err
	}
	if how == Torn {
		data = data[:len(data)/2]
	}
	return &brokenReader{data: data, err: f.failure(op)}, nil
}

// Put implements storage.Bucket.
func (f *Faulty) Put(ctx context.Context, name string, data []byte) error {
	op := Operation{Put, name}
	switch how := f.begin(op); how {
	case "":
		return f.bucket.Put(ctx, name, data)
	case Torn, After:
		if how == Torn {
			data = data[:len(data)/2]
		}
		if err := f.bucket.Put(ctx, name, data); err != nil {
			return err
		}
	}
	return f.failure(op)
}

// Stat implements storage.Bucket.
func (f *Faulty) Stat(ctx context.Context, name string) (storage.Info, error) {
	op := Operation{Stat, name}
	if f.begin(op) != "" {
		return storage.Info{}, f.failure(op)
	}
	return f.bucket.Stat(ctx, name)
}

// List implements storage.Bucket.
func (f *Faulty) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	op := Operation{List, prefix}
	how := f.begin(op)
	if how == Before {
		return f.failure(op)
	}
	err := f.bucket.List(ctx, prefix, func(info storage.Info) error {
		if err := fn(info); err != nil {
			return err
		}
		if how == Torn {
			return f.failure(op)
		}
		return nil
	})
	if err != nil || how == "" {
		return err
	}
	return f.failure(op)
}

// Delete implements storage.Bucket.
func (f *Faulty) Delete(ctx context.Context, name string) error {
	op := Operation{Delete, name}
	switch f.begin(op) {
	case "":
		return f.bucket.Delete(ctx, name)
	case After:
		if err := f.bucket.Delete(ctx, name); err != nil {
			return err
		}
	}
	return f.failure(op)
}

// Folders implements storage.FolderLister.
func (f *Faulty) Folders(ctx context.Context, prefix string) ([]string, error) {
	op := Operation{Folders, prefix}
	if f.begin(op) != "" {
		return nil, f.failure(op)
	}
	return storage.Folders(ctx, f.bucket, prefix)
}

// String implements storage.Bucket.
func (f *Faulty) String() string { return f.bucket.String() }

// brokenReader hands out data and then fails.
type brokenReader struct {
	data []byte
	err  error
}

func (r *brokenReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, r.err
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

func (r *brokenReader) Close() error { return nil }
