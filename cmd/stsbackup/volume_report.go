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

// clearLine makes a terminal empty the line that the cursor is in.
const clearLine = "\r\x1b[K"

// volumeReport says how a volume command progresses and how it ended. A mover has a result file, from which Kubernetes
// takes the pod's termination message; its progress goes to standard output, and so into the pod's log.
type volumeReport struct {
	output  ui.Format
	file    mover.ResultFile // empty for people
	voice   *mover.Voice     // nil for people
	written bool
	failed  archive.Result // for a command that ends with an error
}

// begin makes a mover report its progress from time to time, even before it does anything with the volume. Other
// commands do not report. It goes on until the caller calls end.
func (r *volumeReport) begin(ctx context.Context, a *app) (end func()) {
	if r.file == "" {
		return func() {}
	}
	r.voice = mover.NewVoice(a.out, a.now)
	return r.voice.Begin(ctx)
}

// observer follows the work. Only for movers does it count the requests to the bucket.
func (r *volumeReport) observer(a *app) volume.Observer {
	if r.voice == nil {
		return volume.Observer{Progress: r.progress(a)}
	}
	return volume.Observer{Progress: r.voice, Watch: r.voice.Watch, Step: r.voice.Step}
}

// result prints what the command has done, or writes it into the result file.
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

// failure says how far a command came that ends with an error, if there are entries that it could not handle. A mover
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

// probed says that a probe has found everything that it looked for.
func (r *volumeReport) probed() error {
	if r.file == "" {
		return nil
	}
	return r.file.Probed()
}

// end passes on the command's error. If there is no result, it also writes the error into the result file.
func (r *volumeReport) end(err error) error {
	if err == nil || r.file == "" || r.written {
		return err
	}
	return errors.Join(err, r.file.Failure(err, r.failed))
}

// explained adds to a mover's error what to do about it in a pod.
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

// progress returns the reporter for a person that fits the flags.
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
		_ = encoder.Encode(p) // whoever no longer reads progress does not need it
	}
}

func progressText(p archive.Progress) string {
	if p.TotalBytes > 0 {
		return fmt.Sprintf("%s of %s, %d of %d files", ui.Bytes(p.Bytes), ui.Bytes(p.TotalBytes), p.Files, p.TotalFiles)
	}
	return fmt.Sprintf("%s, %d files", ui.Bytes(p.Bytes), p.Files)
}
