package archive

import "time"

// Result is what one run of Backup or Restore did. A mover also hands it back to the engine, as JSON in its pod's
// termination message. So its names are part of the contract between versions of stsbackup, and it must stay within the
// 4096 bytes that Kubernetes keeps.
type Result struct {
	// RepositorySnapshot is the id (64 hex digits) of the repository snapshot that was written or restored.
	RepositorySnapshot string `json:"repositorySnapshot"`
	// Files, Directories and Others count the entries of the volume; Others are symlinks and special files.
	Files       int64 `json:"files"`
	Directories int64 `json:"directories"`
	Others      int64 `json:"others,omitempty"`
	// Bytes is the plain size of everything in the repository snapshot.
	Bytes int64 `json:"bytes"`
	// BytesRead is how much was read from the volume (Backup) or the bucket (Restore).
	BytesRead int64 `json:"bytesRead"`
	// BytesStored is how much was added to the bucket, compressed and sealed. Backup only.
	BytesStored int64 `json:"bytesStored"`
	// Duration is the wall time of the run, in nanoseconds.
	Duration time.Duration `json:"duration"`
	// Problems are entries that could not be read or written whole. A backup with problems is incomplete, and holds
	// everything else; a restore with problems has failed. At most MaxProblems are kept; ProblemCount counts all.
	Problems     []Problem `json:"problems,omitempty"`
	ProblemCount int       `json:"problemCount,omitempty"`
	// Changes are files that others changed while Backup saved them, which is normal on a live volume. Backup saved as
	// much of them as was there; they do not make a backup incomplete. At most MaxProblems are kept; ChangeCount counts
	// all.
	Changes     []Change `json:"changes,omitempty"`
	ChangeCount int      `json:"changeCount,omitempty"`
	// Warnings are what a person should know although the run succeeded: what is left to do, and how.
	Warnings []string `json:"warnings,omitempty"`
}

// maxWarning bounds a warning, in bytes, so that a result fits into a termination message.
const maxWarning = 800

// Warn adds a warning: something that is no failure.
func (r *Result) Warn(err error) {
	text := err.Error()
	if len(text) > maxWarning {
		text = text[:maxWarning] + "…"
	}
	r.Warnings = append(r.Warnings, text)
}

// MaxProblems bounds Result.Problems and Result.Changes, so that a result fits into a termination message.
const MaxProblems = 8

// ChangeKind says what happened to a file while Backup saved it.
type ChangeKind string

// The kinds of changes.
const (
	// Changed: somebody changed its content or its attributes. The saved content may mix old and new.
	Changed ChangeKind = "changed"
	// Grew: it was saved with the length that it had at first.
	Grew ChangeKind = "grew"
	// Shrank: what was left of it was saved.
	Shrank ChangeKind = "shrank"
	// Vanished: somebody removed it. It was saved as it had been, if it could still be read; otherwise it is not in the
	// backup.
	Vanished ChangeKind = "vanished"
)

// Change is one file that somebody changed while Backup saved it.
type Change struct {
	// Path is relative to the volume's root.
	Path string     `json:"path"`
	Kind ChangeKind `json:"kind"`
	// Detail says what happened, in words that follow the kind.
	Detail string `json:"detail"`
}

// Text is the change in one line: "path: grew from 3 to 4 bytes …".
func (c Change) Text() string { return c.Path + ": " + string(c.Kind) + " " + c.Detail }

// Problem is one entry of a volume that could not be saved or restored whole.
type Problem struct {
	// Path is relative to the volume's root.
	Path string `json:"path"`
	// Reason says what happened, in words.
	Reason string `json:"reason"`
}

// Progress is a running count of a Backup or Restore.
type Progress struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
	// TotalFiles and TotalBytes are the expected totals; zero while unknown.
	TotalFiles int64 `json:"totalFiles,omitempty"`
	TotalBytes int64 `json:"totalBytes,omitempty"`
}

// Reporter learns about progress as it happens, also through entries that are no files. Calls may come from several
// goroutines and must return fast. Whoever shows progress decides how often.
type Reporter interface {
	Report(Progress)
}
