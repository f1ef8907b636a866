package store

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Store is a folder of volumes and snapshots. Its callers make sure that one change happens at a time.
type Store struct {
	dir       string
	now       func() time.Time
	volumes   shelf[Volume]
	snapshots shelf[Snapshot]
	groups    shelf[Group]
}

// Open opens a folder, which must be on a filesystem with reflinks.
func Open(dir string, now func() time.Time) (*Store, error) {
	s := &Store{
		dir: dir, now: now,
		volumes:   shelf[Volume]{filepath.Join(dir, "volumes")},
		snapshots: shelf[Snapshot]{filepath.Join(dir, "snapshots")},
		groups:    shelf[Group]{filepath.Join(dir, "groups")},
	}
	for _, d := range []string{s.volumes.dir, s.snapshots.dir, s.groups.dir} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			return nil, err
		}
	}
	// Fail now rather than at the first snapshot.
	from, to := filepath.Join(dir, ".probe"), filepath.Join(dir, ".probe-clone")
	defer func() { _ = os.Remove(from) }()
	defer func() { _ = os.Remove(to) }()
	if err := os.WriteFile(from, make([]byte, 4096), 0o600); err != nil {
		return nil, err
	}
	if err := cloneFile(from, to); err != nil {
		return nil, fmt.Errorf("%s is on a file system without reflinks: %w", dir, err)
	}
	return s, nil
}

// Volume returns a volume's record.
func (s *Store) Volume(id string) (Volume, error) { return s.volumes.get(id) }

// Volumes returns all volumes' records, by id.
func (s *Store) Volumes() ([]Volume, error) { return s.volumes.list() }

// Snapshot returns a snapshot's record.
func (s *Store) Snapshot(id string) (Snapshot, error) { return s.snapshots.get(id) }

// Snapshots returns all snapshots' records, by id.
func (s *Store) Snapshots() ([]Snapshot, error) { return s.snapshots.list() }

// Group returns a group snapshot's record.
func (s *Store) Group(id string) (Group, error) { return s.groups.get(id) }

// ImagePath is the file of an image volume, TreePath the folder of a dir volume.
func (s *Store) ImagePath(volume string) string { return s.volumes.path(volume, imageName) }

// TreePath is the folder of a dir volume.
func (s *Store) TreePath(volume string) string { return s.volumes.path(volume, treeName) }

// Free is how many bytes can still be written.
func (s *Store) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Create makes a volume: empty, or with the data of a snapshot or of another volume, as v.Source says.
func (s *Store) Create(v Volume, snapshot *Snapshot, volume *Volume) error {
	var from string
	var sourceSize int64
	switch {
	case snapshot != nil:
		from, sourceSize = s.snapshots.path(snapshot.ID), snapshot.Size
	case volume != nil:
		from, sourceSize = s.volumes.path(volume.ID), volume.Size
		thaw, err := s.freeze(*volume)
		if err != nil {
			return err
		}
		defer thaw()
	}
	return s.volumes.add(v.ID, v, func(dir string) error {
		if from == "" {
			return makeEmpty(v, dir)
		}
		if err := cloneData(v.Kind, from, dir); err != nil {
			return err
		}
		if v.Kind == Image && v.Size > sourceSize {
			return grow(v.Format, filepath.Join(dir, imageName), v.Size)
		}
		return nil
	})
}

// Expand makes an unused volume larger, including its filesystem.
func (s *Store) Expand(v Volume, size int64) (Volume, error) {
	if v.Kind == Image {
		if err := grow(v.Format, s.ImagePath(v.ID), size); err != nil {
			return v, err
		}
	}
	v.Size = size
	return v, s.volumes.replace(v.ID, v)
}

// Delete deletes an unused volume; one that does not exist is no error.
func (s *Store) Delete(volume string) error { return s.volumes.remove(volume) }

// DeleteSnapshot deletes a snapshot; one that does not exist is no error.
func (s *Store) DeleteSnapshot(id string) error { return s.snapshots.remove(id) }

// Cut takes a snapshot of each volume, at one moment, and returns them with the time of their cut. The i-th snapshot is
// of the i-th volume.
func (s *Store) Cut(volumes []Volume, snapshots []Snapshot) ([]Snapshot, error) {
	for _, v := range volumes {
		thaw, err := s.freeze(v)
		if err != nil {
			return nil, err
		}
		defer thaw()
	}
	taken := make([]Snapshot, 0, len(snapshots))
	for i, v := range volumes {
		snapshot := snapshots[i]
		snapshot.Created = s.now()
		err := s.snapshots.add(snapshot.ID, snapshot, func(dir string) error {
			return cloneData(v.Kind, s.volumes.path(v.ID), dir)
		})
		if err != nil {
			for _, t := range taken {
				_ = s.snapshots.remove(t.ID) // the next try removes what this one cannot
			}
			return nil, err
		}
		taken = append(taken, snapshot)
	}
	return taken, nil
}

// CutGroup takes snapshots of volumes at one moment and records them as a group.
func (s *Store) CutGroup(group Group, volumes []Volume, snapshots []Snapshot) (Group, error) {
	for _, snapshot := range snapshots {
		// A try that never became a group has left this: it was cut at another moment than the rest.
		if err := s.snapshots.remove(snapshot.ID); err != nil {
			return group, err
		}
	}
	taken, err := s.Cut(volumes, snapshots)
	if err != nil {
		return group, err
	}
	group.Created = taken[0].Created
	group.Snapshots = nil
	for _, snapshot := range taken {
		group.Snapshots = append(group.Snapshots, snapshot.ID)
	}
	return group, s.groups.add(group.ID, group, func(string) error { return nil })
}

// DeleteGroup deletes a group snapshot with its members; one that does not exist is no error.
func (s *Store) DeleteGroup(group Group) error {
	for _, id := range group.Snapshots {
		if err := s.snapshots.remove(id); err != nil {
			return err
		}
	}
	return s.groups.remove(group.ID)
}
