package storagetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

// Memory is a Bucket that keeps its objects in memory, for tests. NewMemory makes one.
//
// Where the contract leaves a medium a choice, Memory is strict, so that code tested with it runs on any other medium:
// it refuses a name that is also another object's folder.
type Memory struct {
	mu      sync.RWMutex
	objects map[string]stored
	folders map[string]int // how many objects are below each folder
}

// stored is one object. Its data never changes.
type stored struct {
	data     []byte
	modified time.Time
}

func (s stored) info(name string) storage.Info {
	return storage.Info{Name: name, Size: int64(len(s.data)), Modified: s.modified}
}

// NewMemory makes an empty bucket.
func NewMemory() *Memory {
	return &Memory{objects: map[string]stored{}, folders: map[string]int{}}
}

// Get implements storage.Bucket.
func (m *Memory) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := m.check(ctx, "get", name); err != nil {
		return nil, err
	}
	m.mu.RLock()
	object, ok := m.objects[name]
	m.mu.RUnlock()
	if !ok {
		return nil, m.fail("get", name, storage.ErrNotExist)
	}
	size := int64(len(object.data))
	if offset < 0 || offset > size || length > size-offset {
		return nil, m.fail("get", name, storage.ErrRange)
	}
	if length < 0 {
		length = size - offset
	}
	return &memoryReader{ctx: ctx, data: bytes.NewReader(object.data[offset : offset+length])}, nil
}

// Put implements storage.Bucket.
func (m *Memory) Put(ctx context.Context, name string, data []byte) error {
	if err := m.check(ctx, "put", name); err != nil {
		return err
	}
	kept := bytes.Clone(data)
	if kept == nil {
		kept = []byte{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil { // copying a large object takes a while
		return m.fail("put", name, context.Cause(ctx))
	}
	if m.folders[name] > 0 {
		return fmt.Errorf("put %s in %s: it is a folder: %w", name, m, storage.ErrName)
	}
	for _, folder := range foldersOf(name) {
		if _, ok := m.objects[folder]; ok {
			return fmt.Errorf("put %s in %s: %s is an object, not a folder: %w", name, m, folder, storage.ErrName)
		}
	}
	if _, replaced := m.objects[name]; !replaced {
		m.countInFolders(name, 1)
	}
	m.objects[name] = stored{data: kept, modified: time.Now()}
	return nil
}

// Stat implements storage.Bucket.
func (m *Memory) Stat(ctx context.Context, name string) (storage.Info, error) {
	if err := m.check(ctx, "stat", name); err != nil {
		return storage.Info{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	object, ok := m.objects[name]
	if !ok {
		return storage.Info{}, m.fail("stat", name, storage.ErrNotExist)
	}
	return object.info(name), nil
}

// List implements storage.Bucket. It shows the objects as they were when it was called.
func (m *Memory) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	m.mu.RLock()
	var found []storage.Info
	for _, name := range slices.Sorted(maps.Keys(m.objects)) {
		if strings.HasPrefix(name, prefix) {
			found = append(found, m.objects[name].info(name))
		}
	}
	m.mu.RUnlock()
	for _, info := range found {
		if ctx.Err() != nil {
			break
		}
		if err := fn(info); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return m.fail("list", prefix, context.Cause(ctx))
	}
	return nil
}

// Delete implements storage.Bucket.
func (m *Memory) Delete(ctx context.Context, name string) error {
	if err := m.check(ctx, "delete", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[name]; ok {
		delete(m.objects, name)
		m.countInFolders(name, -1)
	}
	return nil
}

func (m *Memory) countInFolders(name string, change int) {
	for _, folder := range foldersOf(name) {
		m.folders[folder] += change
	}
}

// foldersOf returns all folders of a name: a and a/b for a/b/c.
func foldersOf(name string) []string {
	var folders []string
	for i, char := range name {
		if char == '/' {
			folders = append(folders, name[:i])
		}
	}
	return folders
}

// Folders implements storage.FolderLister.
func (m *Memory) Folders(ctx context.Context, prefix string) ([]string, error) {
	return storage.Folders(ctx, unlisted{m}, prefix)
}

// unlisted hides Memory.Folders, so that storage.Folders uses the names of the objects.
type unlisted struct{ storage.Bucket }

// String implements storage.Bucket.
func (m *Memory) String() string { return "memory" }

func (m *Memory) check(ctx context.Context, verb, name string) error {
	if ctx.Err() != nil {
		return m.fail(verb, name, context.Cause(ctx))
	}
	if !storage.ValidName(name) {
		return m.fail(verb, fmt.Sprintf("%q", name), storage.ErrName)
	}
	return nil
}

func (m *Memory) fail(verb, name string, err error) error {
	return fmt.Errorf("%s %s in %s: %w", verb, name, m, err)
}

// memoryReader reads an object for as long as its context lives.
type memoryReader struct {
	ctx  context.Context
	data *bytes.Reader
}

func (r *memoryReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, fmt.Errorf("read from memory: %w", context.Cause(r.ctx))
	}
	return r.data.Read(p)
}

func (r *memoryReader) Close() error { return nil }
