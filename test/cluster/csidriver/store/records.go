package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrNotFound says that no object has this id.
var ErrNotFound = errors.New("not found")

// Kind is how a volume's data is stored.
type Kind string

// The kinds of volumes.
const (
	Image Kind = "image"
	Dir   Kind = "dir"
)

// Format is what a volume's data and its snapshots have in common: a volume can only be made from a source of its own
// format.
type Format struct {
	Kind   Kind   `json:"kind"`
	Block  bool   `json:"block,omitempty"`
	FSType string `json:"fsType,omitempty"`
}

// Volume is the record of a volume.
type Volume struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	Source string `json:"source,omitempty"` // "snapshot/ID" or "volume/ID"
	Format
}

// Snapshot is the record of a volume's snapshot.
type Snapshot struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Volume  string    `json:"volume"`
	Size    int64     `json:"size"`
	Created time.Time `json:"created"`
	// ReadyAfter is how long after Created the snapshot becomes usable.
	ReadyAfter time.Duration `json:"readyAfter,omitempty"`
	// Group is the group snapshot to which it belongs.
	Group string `json:"group,omitempty"`
	Format
}

// Ready says whether the snapshot is usable at a time.
func (s Snapshot) Ready(now time.Time) bool { return now.Sub(s.Created) >= s.ReadyAfter }

// Group is the record of a group snapshot.
type Group struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Volumes   []string  `json:"volumes"`
	Snapshots []string  `json:"snapshots"`
	Created   time.Time `json:"created"`
}

// VolumeID derives a volume's id from its name: the same name always means the same volume.
func VolumeID(name string) string { return id("vol", name) }

// SnapshotID is the id of the snapshot with this name.
func SnapshotID(name string) string { return id("snap", name) }

// GroupID is the id of the group snapshot with this name.
func GroupID(name string) string { return id("group", name) }

func id(prefix, name string) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + "-" + hex.EncodeToString(sum[:8])
}

// shelf is the folder of all objects of one kind.
type shelf[T any] struct{ dir string }

const metaName = "meta.json"

func (s shelf[T]) path(id string, elem ...string) string {
	return filepath.Join(append([]string{s.dir, id}, elem...)...)
}

// get reads an object's record. Ids come from requests; no object has an id that is no plain name.
func (s shelf[T]) get(id string) (T, error) {
	var record T
	if id == "" || id[0] == '.' || strings.ContainsAny(id, "/\x00") {
		return record, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	data, err := os.ReadFile(s.path(id, metaName))
	if errors.Is(err, fs.ErrNotExist) {
		return record, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	if err != nil {
		return record, err
	}
	return record, json.Unmarshal(data, &record)
}

// list reads all records, by id.
func (s shelf[T]) list() ([]T, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var all []T
	for _, e := range entries {
		record, err := s.get(e.Name())
		if errors.Is(err, ErrNotFound) {
			continue // hidden, or deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, record)
	}
	return all, nil
}

// add makes an object: fill puts its data into a folder that becomes visible when it is whole.
func (s shelf[T]) add(id string, record T, fill func(dir string) error) error {
	hidden := s.path(".new-" + id)
	if err := os.RemoveAll(hidden); err != nil { // a killed driver has left it
		return err
	}
	if err := os.Mkdir(hidden, 0o750); err != nil {
		return err
	}
	err := fill(hidden)
	if err == nil {
		err = writeRecord(filepath.Join(hidden, metaName), record)
	}
	if err == nil {
		err = os.Rename(hidden, s.path(id))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(hidden))
	}
	return nil
}

// replace rewrites an object's record.
func (s shelf[T]) replace(id string, record T) error {
	return writeRecord(s.path(id, metaName), record)
}

func writeRecord(path string, record any) error {
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// remove deletes an object; one that does not exist is no error.
func (s shelf[T]) remove(id string) error {
	hidden := s.path(".old-" + id)
	if err := os.RemoveAll(hidden); err != nil {
		return err
	}
	if err := os.Rename(s.path(id), hidden); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return os.RemoveAll(hidden)
}
