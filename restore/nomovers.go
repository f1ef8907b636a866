package restore

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// NoMovers is the Filler for users without a repository. An undo fills nothing, so it works without one, unless
// an interrupted restore has filled volumes that people made.
type NoMovers struct{}

var errNoRepo = errors.New("a mover would have to do that, and no --repo was given")

// Admit has nothing to ask about.
func (NoMovers) Admit(context.Context, Target, []Volume) ([]cluster.Denial, []corev1.Pod, error) {
	return nil, nil, nil
}

// Fill fails: an undo fills nothing.
func (NoMovers) Fill(context.Context, Target, Volume, func(report.Progress)) (archive.Result, error) {
	return archive.Result{}, errNoRepo
}

// Probe fails: there is no repository to probe.
func (NoMovers) Probe(context.Context, Target, []Volume) error { return errNoRepo }

// TakeBack fails: it would need a repository.
func (NoMovers) TakeBack(context.Context, Target, JournalVolume) error { return errNoRepo }
