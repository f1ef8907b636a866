package backup

import (
	"context"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// Saver copies one volume's data into the repository. Its methods return only when nothing uses the source any
// more, even when ctx has ended or they fail.
type Saver interface {
	// Makes returns the objects that saving a volume from the source would create. Without a volume, these are the shared objects.
	Makes(target Target, v *Volume, source capture.Source) []cluster.Candidate
	// Save reads the source. Reading has begun when Save first reports that the volume's data moves.
	Save(ctx context.Context, target Target, v *Volume, source capture.Source, progress func(report.Progress)) (Saved, error)
	// Probe fails if Save would fail for every volume. It touches no volume, and runs where v's mover would.
	Probe(ctx context.Context, target Target, v *Volume) error
}

// Target is what a Saver may need to know about the backup.
type Target struct {
	Operation cluster.Operation
	// Cluster is the cluster's UID.
	Cluster string
	// Request is what the backup is to do.
	Request *Request
	// Note is told what the Saver waits for, if that does not concern a single volume.
	Note func(message string)
}

// mark is what the movers write into their locks.
func (t *Target) mark() string { return t.Operation.MoverMark(t.Cluster) }

// Saved is what a Saver has saved.
type Saved struct {
	archive.Result
	// Untidy says what was left behind although the data is safe; nil if nothing was.
	Untidy error
}
