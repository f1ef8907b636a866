package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
)

// failure is the JSON output for one of several StatefulSets, if it has no result.
type failure struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	Error       string `json:"error"`
	ExitCode    int    `json:"exitCode"`
}

// severalError says that some of several StatefulSets failed.
type severalError struct {
	text string
	errs []error
}

func (e *severalError) Error() string   { return e.text }
func (e *severalError) Unwrap() []error { return e.errs }

// exitCode is the most serious exit code among all failures: the less we know to be safe, the more serious.
func (e *severalError) exitCode(ctx context.Context) int {
	worst := exitDone
	order := []int{exitDone, exitIncomplete, exitRefused, exitNotFound, exitFailed, exitUsage, exitInterrupted}
	for _, err := range e.errs {
		if code := exitCode(ctx, err); slices.Index(order, code) > slices.Index(order, worst) {
			worst = code
		}
	}
	return worst
}

// joined is errors.Join with the most serious exit code.
func joined(errs ...error) error {
	all := errors.Join(errs...)
	if all == nil {
		return nil
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	return &severalError{text: all.Error(), errs: errs}
}

// each does the same to StatefulSets, in turn, and prints each result as soon as it has it: as JSON, one document for
// each StatefulSet. If one fails, it goes on with the others. do may return a result beside an error, and show prints
// the result for a person.
func each[T any](ctx context.Context, a *app, output ui.Format, targets []target,
	do func(context.Context, target) (*T, error), show func(io.Writer, target, *T) error,
) error {
	several := len(targets) > 1
	var failed []string
	var errs []error
	for i, t := range targets {
		if i > 0 && ctx.Err() != nil {
			errs = append(errs, fmt.Errorf("did not begin %s and the %d after it: %w", t, len(targets)-i-1, context.Cause(ctx)))
			failed = append(failed, "not begun: "+namesOf(targets[i:]))
			break
		}
		result, err := do(ctx, t)
		switch {
		case result != nil && output == ui.JSON:
			err = errors.Join(ui.WriteJSON(a.out, result), err)
		case result != nil:
			err = errors.Join(show(a.out, t, result), err)
		case err != nil && several && output == ui.JSON:
			code := exitCode(ctx, err)
			err = errors.Join(ui.WriteJSON(a.out, failure{t.namespace, t.statefulSet, message(ctx, err), code}), err)
		}
		if err == nil {
			continue
		}
		if !several {
			return err
		}
		if output == ui.Text {
			fmt.Fprintf(a.err, "%s: %s\n", t, message(ctx, err))
		}
		failed, errs = append(failed, t.String()), append(errs, err)
	}
	if len(errs) == 0 {
		return nil
	}
	return &severalError{
		text: fmt.Sprintf(
			"%d of %d StatefulSets failed or are incomplete (reasons above): %s",
			len(errs),
			len(targets),
			strings.Join(failed, ", "),
		),
		errs: errs,
	}
}

// heading says which of several StatefulSets the next lines are about.
func heading(w io.Writer, targets []target, t target) {
	if len(targets) > 1 {
		fmt.Fprintf(w, "%s:\n", t)
	}
}

func namesOf(targets []target) string {
	all := make([]string, len(targets))
	for i, t := range targets {
		all[i] = t.String()
	}
	return strings.Join(all, ", ")
}
