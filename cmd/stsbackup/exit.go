package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/internal/mover/setup"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/internal/volume"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// The exit codes are a contract with scripts and runbooks.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitIncomplete  = contract.ExitProblems
	exitNotFound    = 4
	exitRefused     = 5
	exitInterrupted = 130
)

// usageError says that the command line is wrong, or an environment variable that replaces a flag.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usageErrorf(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// incompleteError says that the command did part of its work, and that this part is usable.
type incompleteError struct{ err error }

func (e *incompleteError) Error() string { return e.err.Error() }
func (e *incompleteError) Unwrap() error { return e.err }

// exitCode translates a command's error.
func exitCode(ctx context.Context, err error) int {
	var (
		usage      *usageError
		invalid    *location.InvalidError
		movers     *setup.InvalidError
		volumes    *volume.InvalidError
		incomplete *incompleteError
		point      *backup.IncompleteError
		refusal    *cluster.Refusal
		refused    *upkeep.Refusal
		several    *severalError
	)
	switch {
	case err == nil:
		return exitDone
	case interrupted(ctx, err):
		return exitInterrupted
	case errors.As(err, &several):
		return several.exitCode(ctx)
	case errors.As(err, &usage), errors.As(err, &invalid), errors.As(err, &movers), errors.As(err, &volumes):
		return exitUsage
	case errors.As(err, &incomplete), errors.As(err, &point):
		return exitIncomplete
	case errors.As(err, &refusal) && !errors.Is(refusal, cluster.ErrNotFound), errors.As(err, &refused),
		errors.Is(err, repository.ErrLocked),
		errors.Is(err, repository.ErrKeyNeeded):
		return exitRefused
	case missing(err):
		return exitNotFound
	default:
		return exitFailed
	}
}

// missing reports whether err says that something named on the command line does not exist.
func missing(err error) bool {
	for _, sentinel := range []error{
		cluster.ErrNotFound, catalog.ErrNoRecoveryPoint, catalog.ErrAmbiguous,
		repository.ErrNoRepository, repository.ErrNoSnapshot, repository.ErrNoKey,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}
