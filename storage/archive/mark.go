package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// RestoringMark is the name of a file at a volume's root, a Mark. It is there while a restore fills the volume, if that
// restore would start over after an interruption. Backup does not save the file, but reports it, because the volume may
// lack files. Restore does not bring back a saved one, because the next restore would take it for its own.
const RestoringMark = ".stsbackup-restoring"

var errUnfinished = errors.New(
	"a restore into this volume has not ended, so it may lack files: restore it again, or remove this file if nothing is missing",
)

const (
	// markVersion is the version of the mark's JSON.
	markVersion = 1
	// maxMark bounds how many bytes of a mark are read.
	maxMark = 4096
	// maxMarkShown bounds how many bytes of an unreadable mark are quoted.
	maxMarkShown = 200
)

// Mark says which restore fills a volume. Whatever lies beside it is that restore's unfinished work, which nobody will
// miss. But anybody who writes to the volume can write a mark too. So a mark counts only for the restores that it
// names: for the same claim, the same repository, and an operation that knows that it has begun.
type Mark struct {
	Version int `json:"version"`
	// Operation is what the restore's lock on the repository names as its operation; "" for a restore that a person
	// runs on a directory.
	Operation string `json:"operation,omitempty"`
	// Claim is the claim whose volume is filled, as namespace/name; "" for a directory.
	Claim string `json:"claim,omitempty"`
	// Source says whose data the volume gets: namespace/statefulset/claim.
	Source string `json:"source"`
	// Repository and RepositorySnapshot are the ids (64 hex digits) of the data's origin.
	Repository         string `json:"repository"`
	RepositorySnapshot string `json:"repositorySnapshot"`
	// Started is when the restore began to fill the volume.
	Started time.Time `json:"started"`
}

// String says which restore fills the volume, for a message.
func (m Mark) String() string {
	who := "a restore"
	if m.Operation != "" {
		who = fmt.Sprintf("restore %q", m.Operation)
	}
	where := "a directory"
	if m.Claim != "" {
		where = fmt.Sprintf("claim %q", m.Claim)
	}
	return fmt.Sprintf("%s that began at %s to bring %q (repository snapshot %.8s of repository %.8s) into %s",
		who, m.Started.Format(time.RFC3339), m.Source, m.RepositorySnapshot, m.Repository, where)
}

// encode returns the stored form of the mark.
func (m Mark) encode() ([]byte, error) {
	m.Version, m.Started = markVersion, m.Started.UTC()
	if err := m.check(); err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode the mark: %w", err)
	}
	if encoded = append(encoded, '\n'); len(encoded) > maxMark {
		return nil, fmt.Errorf("the mark takes %d bytes, more than the %d that are read", len(encoded), maxMark)
	}
	return encoded, nil
}

// check reports values that no restore writes.
func (m Mark) check() error {
	if m.Source == "" || m.Started.IsZero() {
		return errors.New("it does not say which restore wrote it")
	}
	if _, err := repository.ParseID(m.Repository); err != nil {
		return fmt.Errorf("repository: %w", err)
	}
	if _, err := repository.ParseID(m.RepositorySnapshot); err != nil {
		return fmt.Errorf("repository snapshot: %w", err)
	}
	return nil
}

// parseMark reads a mark. Anybody may have written it, so it counts only if encode returns exactly the same bytes. Then
// nothing in it can be read in two ways.
func parseMark(data []byte) (Mark, error) {
	if len(data) == 0 {
		return Mark{}, errors.New("it is empty, as earlier versions of stsbackup wrote it, so it does not say which restore wrote it")
	}
	var m Mark
	if err := json.Unmarshal(data, &m); err != nil {
		return Mark{}, fmt.Errorf("it is not one that stsbackup writes (%w)", err)
	}
	if m.Version > markVersion {
		return Mark{}, fmt.Errorf("it comes from a later version (%d) of stsbackup", m.Version)
	}
	encoded, err := m.encode()
	if err != nil {
		return Mark{}, fmt.Errorf("it is not one that stsbackup writes (%w)", err)
	}
	if !bytes.Equal(encoded, data) {
		return Mark{}, errors.New("it is not written as stsbackup writes it")
	}
	return m, nil
}

// allows returns an error that says why the mark does not allow a restore to remove what lies beside the mark. own is
// the mark that this restore would write; resumes are the operations that it goes on with. If own names no repository,
// the repository is not compared: an operation reads one repository.
func (m Mark) allows(own Mark, resumes []string) error {
	switch {
	case m.Claim != own.Claim:
		return fmt.Errorf("it was written by %s, and this restore is for claim %q", m, own.Claim)
	case own.Claim == "" && m.Source != own.Source:
		return fmt.Errorf("it was written by %s, and this restore brings back %q", m, own.Source)
	case own.Repository != "" && m.Repository != own.Repository:
		return fmt.Errorf("it was written by %s, and this restore reads repository %.8s", m, own.Repository)
	case m.Operation != own.Operation && (m.Operation == "" || !slices.Contains(resumes, m.Operation)):
		return fmt.Errorf("it was written by %s, and this restore does not continue that one", m)
	}
	return nil
}

// foundMark is the file that a volume has under the mark's name.
type foundMark struct {
	mark Mark
	// unknown says why the file is no readable mark; empty says that the file has no content.
	unknown error
	empty   bool
}

// readMark reads the mark of an open directory; nil if there is none.
func readMark(dir int) (*foundMark, error) {
	stat, err := statAt(dir, RestoringMark)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", RestoringMark, err)
	}
	if kind := nodeType(stat.Mode); kind != treeblob.File {
		what := fmt.Errorf("it is a %s, and not a file", kind)
		if target, err := readLinkAt(dir, RestoringMark); err == nil {
			what = fmt.Errorf("it is a symlink to %.*q", maxMarkShown, target)
		}
		return &foundMark{unknown: what}, nil
	}
	// Another entry may have that name by now: do not follow a symlink, and do not wait for a fifo.
	fd, err := openAt(dir, RestoringMark, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", RestoringMark, err)
	}
	defer closeFD(fd)
	if stat, err = fstat(fd); err != nil {
		return nil, fmt.Errorf("stat %s: %w", RestoringMark, err)
	}
	if nodeType(stat.Mode) != treeblob.File || stat.Size > maxMark {
		return &foundMark{unknown: fmt.Errorf("it takes %d bytes, more than any that stsbackup writes", stat.Size)}, nil
	}
	data, err := io.ReadAll(&fileReader{fd: fd, left: maxMark + 1})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", RestoringMark, err)
	}
	mark, err := parseMark(data)
	if err != nil && len(data) > 0 {
		err = fmt.Errorf("%w; it begins with %q", err, data[:min(len(data), maxMarkShown)])
	}
	return &foundMark{mark: mark, unknown: err, empty: len(data) == 0}, nil
}

// allows is Mark.allows for the file that was found.
func (f *foundMark) allows(own Mark, resumes []string) error {
	if f.unknown != nil {
		return f.unknown
	}
	return f.mark.allows(own, resumes)
}

// writeMark puts the mark onto the disk before anything else is written.
func writeMark(dir int, mark Mark) error {
	encoded, err := mark.encode()
	if err != nil {
		return err
	}
	fd, err := openAt(dir, RestoringMark, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = writeAll(fd, encoded)
	if err == nil {
		err = retry(func() error { return unix.Fsync(fd) })
	}
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return errors.Join(err, unix.Unlinkat(dir, RestoringMark, 0)) // half a mark would belong to nobody
	}
	return retry(func() error { return unix.Fsync(dir) })
}

func writeAll(fd int, data []byte) error {
	for len(data) > 0 {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Write(fd, data)
			return err
		})
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// removeMark removes the mark, and leaves no trace of the removal in the times of the directory.
func removeMark(dir int) error {
	stat, err := fstat(dir)
	if err != nil {
		return err
	}
	if err := retry(func() error { return unix.Unlinkat(dir, RestoringMark, 0) }); err != nil {
		return err
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, stat.Mtim}
	if err := retry(func() error { return unix.UtimesNanoAt(dir, ".", times, 0) }); err != nil {
		return err
	}
	return retry(func() error { return unix.Fsync(dir) })
}
