package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/internal/volume"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// clearLine is how a terminal empties the line that the cursor is in.
const clearLine = "\r\x1b[K"

// volumeReport is how a volume command says how it goes and how it went. A mover has a result file, from which
// Kubernetes takes the pod's termination message: then progress goes to standard output, where the pod's log is read.
type volumeReport struct {
	output  ui.Format
	file    mover.ResultFile // empty for people
	voice   *mover.Voice     // nil for people
	written bool
	failed  archive.Result // of a command that ends with an error
}

// begin has a mover say how far it is, from time to time, also while nothing of the volume is done. Other commands do not. It goes
// on until end is called.
func (r *volumeReport) begin(ctx context.Context, a *app) (end func()) {
	if r.file == "" {
		return func() {}
	}
	r.voice = mover.NewVoice(a.out, a.now)
	return r.voice.Begin(ctx)
}

// observer sees how the work goes. What is done with the bucket is counted for movers alone.
func (r *volumeReport) observer(a *app) volume.Observer {
	if r.voice == nil {
		return volume.Observer{Progress: r.progress(a)}
	}
	return volume.Observer{Progress: r.voice, Watch: r.voice.Watch, Step: r.voice.Step}
}

// result prints what was done, or puts it into the result file.
func (r *volumeReport) result(a *app, result archive.Result, text func(io.Writer, archive.Result) error) error {
	if r.file != "" {
		r.written = true
		return r.file.Result(result)
	}
	if r.output == ui.JSON {
		return json.NewEncoder(a.out).Encode(result)
	}
	if a.terminal {
		fmt.Fprint(a.err, clearLine)
	}
	if err := text(a.out, result); err != nil {
		return err
	}
	printProblems(a, result)
	printWarnings(a, result)
	if result.ChangeCount > 0 {
		fmt.Fprintf(a.err, "Changed while the backup read them, and saved as they were found: %s\n", ui.Files(int64(result.ChangeCount)))
	}
	for _, change := range result.Changes {
		fmt.Fprintf(a.err, "  %s\n", ui.Printable(change.Text()))
	}
	return nil
}

// failure says how far a command has come that ends with an error, if there are entries that it could not deal with. A mover
// leaves them with its error.
func (r *volumeReport) failure(a *app, result archive.Result) error {
	r.failed = result
	switch {
	case r.file != "", result.ProblemCount == 0:
		printWarnings(a, result)
		return nil
	case r.output == ui.JSON:
		return json.NewEncoder(a.out).Encode(result)
	}
	printProblems(a, result)
	printWarnings(a, result)
	return nil
}

func printWarnings(a *app, result archive.Result) {
	for _, warning := range result.Warnings {
		fmt.Fprintf(a.err, "warning: %s\n", ui.Printable(warning))
	}
}

func printProblems(a *app, result archive.Result) {
	for _, problem := range result.Problems {
		fmt.Fprintf(a.err, "  %s: %s\n", ui.Printable(problem.Path), ui.Printable(problem.Reason))
	}
	if more := result.ProblemCount - len(result.Problems); more > 0 {
		fmt.Fprintf(a.err, "  and %d more\n", more)
	}
}

// probed says that a probe has found all that it looked for.
func (r *volumeReport) probed() error {
	if r.file == "" {
		return nil
	}
	return r.file.Probed()
}

// end passes on the error that a command ended with, and leaves it in the result file if there is no result.
func (r *volumeReport) end(err error) error {
	if err == nil || r.file == "" || r.written {
		return err
	}
	return errors.Join(err, r.file.Failure(err, r.failed))
}

// explained adds to the error of a command what to do about it in a pod, if it is a mover's.
func (r *volumeReport) explained(a *app, repo *repoFlags, err error) error {
	location, locationErr := repo.location(a)
	if err == nil || r.file == "" || locationErr != nil || !errors.Is(err, storage.ErrUnreachable) {
		return err
	}
	return volume.ExplainInPod(location, err)
}

// waiting says what the command waits for before it can begin.
func (r *volumeReport) waiting(a *app, reason string) {
	switch {
	case r.voice != nil:
		r.voice.Waiting(reason)
	case r.output == ui.JSON:
		if line, err := mover.EncodeWaiting(reason); err == nil {
			fmt.Fprintf(a.err, "%s\n", line)
		}
	default:
		fmt.Fprintln(a.err, ui.Printable(reason))
	}
}

// progress gives a person the reporter that fits the flags.
func (r *volumeReport) progress(a *app) archive.Reporter {
	switch {
	case r.output == ui.JSON:
		return archive.NewEvery(time.Second, a.now, jsonLine(a.err))
	case a.terminal:
		return archive.NewEvery(200*time.Millisecond, a.now, func(p archive.Progress) {
			fmt.Fprintf(a.err, clearLine+"%s", progressText(p))
		})
	default:
		return archive.NewEvery(10*time.Second, a.now, func(p archive.Progress) {
			fmt.Fprintln(a.err, progressText(p))
		})
	}
}

func jsonLine(out io.Writer) func(archive.Progress) {
	encoder := json.NewEncoder(out)
	return func(p archive.Progress) {
		_ = encoder.Encode(p) // whoever does not read progress any more does not need it
	}
}

func progressText(p archive.Progress) string {
	if p.TotalBytes > 0 {
		return fmt.Sprintf("%s of %s, %d of %d files", ui.Bytes(p.Bytes), ui.Bytes(p.TotalBytes), p.Files, p.TotalFiles)
	}
	return fmt.Sprintf("%s, %d files", ui.Bytes(p.Bytes), p.Files)
}
