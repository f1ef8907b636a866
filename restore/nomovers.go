package restore

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// NoMovers is the Filler of those who have no repository. An undo fills nothing, so that it can do without, unless an
// interrupted restore has filled volumes that people made.
type NoMovers struct{}

var errNoRepo = errors.New("a mover would have to do that, and no --repo was given")

// Admit has nothing to ask.
func (NoMovers) Admit(context.Context, Target, []Volume) ([]cluster.Denial, []corev1.Pod, error) {
	return nil, nil, nil
}

// Fill fails: an undo fills nothing.
func (NoMovers) Fill(context.Context, Target, Volume, func(report.Progress)) (archive.Result, error) {
	return archive.Result{}, errNoRepo
}

// Probe fails: there is nothing to look for.
func (NoMovers) Probe(context.Context, Target, []Volume) error { return errNoRepo }

// TakeBack fails.
func (NoMovers) TakeBack(context.Context, Target, JournalVolume) error { return errNoRepo }
