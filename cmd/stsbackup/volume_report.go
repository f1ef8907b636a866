package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// clearLine is how a terminal empties the line that the cursor is in.
const clearLine = "\r\x1b[K"

// volumeReport is how a volume command says how it goes and how it went. A mover has a result file, from which
// Kubernetes takes the pod's termination message: then progress goes to standard output, where the pod's log is read.
type volumeReport struct {
	output     outputFlag
	resultFile string
	written    bool
	failed     archive.Result // of a command that ends with an error
	pulse      mover.Pulse    // of a mover
	lines      moverLines     // of a mover's log
}

func (r *volumeReport) add(cmd *cobra.Command) {
	addOutput(cmd, &r.output)
	cmd.Flags().StringVar(
		&r.resultFile,
		"result-file",
		"",
		"write the result as JSON to this `file`, and progress as JSON lines to standard output: for movers",
	)
}

// result prints what was done, or puts it into the result file.
func (r *volumeReport) result(a *app, result archive.Result, text func(io.Writer, archive.Result) error) error {
	if r.resultFile != "" {
		encoded, err := mover.EncodeResult(result)
		if err != nil {
			return err
		}
		r.written = true
		return r.write(encoded)
	}
	if r.output == outputJSON {
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
	case r.resultFile != "", result.ProblemCount == 0:
		printWarnings(a, result)
		return nil
	case r.output == outputJSON:
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

// end passes on the error that a command ended with, and leaves it in the result file if there is no result.
func (r *volumeReport) end(err error) error {
	if err == nil || r.resultFile == "" || r.written {
		return err
	}
	encoded, encodeErr := mover.EncodeError(err, r.failed)
	if encodeErr != nil {
		return errors.Join(err, encodeErr)
	}
	return errors.Join(err, r.write(encoded))
}

func (r *volumeReport) write(encoded []byte) error {
	if err := os.WriteFile(r.resultFile, encoded, 0o600); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// waiting says what the command waits for before it can begin.
func (r *volumeReport) waiting(a *app, reason string) {
	if r.resultFile == "" && r.output != outputJSON {
		fmt.Fprintln(a.err, ui.Printable(reason))
		return
	}
	line, err := mover.EncodeWaiting(reason)
	switch {
	case err != nil:
	case r.resultFile != "":
		r.pulse.Blocked()
		r.lines.say(a, line)
	default:
		fmt.Fprintf(a.err, "%s\n", line)
	}
}

// progress gives the reporter that fits the flags.
func (r *volumeReport) progress(a *app) archive.Reporter {
	switch {
	case r.resultFile != "":
		return &volumeProgress{now: a.now, every: time.Second, show: r.moverProgress(a), count: r.pulse.Step}
	case r.output == outputJSON:
		return &volumeProgress{now: a.now, every: time.Second, show: jsonLine(a.err)}
	case a.terminal:
		return &volumeProgress{now: a.now, every: 200 * time.Millisecond, show: func(p archive.Progress) {
			fmt.Fprintf(a.err, clearLine+"%s", progressText(p))
		}}
	default:
		return &volumeProgress{now: a.now, every: 10 * time.Second, show: func(p archive.Progress) {
			fmt.Fprintln(a.err, progressText(p))
		}}
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

// volumeProgress shows progress from time to time.
type volumeProgress struct {
	now   func() time.Time
	every time.Duration
	show  func(archive.Progress)
	count func() // each report, unless it is nil

	mu   sync.Mutex
	next time.Time
}

// Report implements archive.Reporter.
func (v *volumeProgress) Report(p archive.Progress) {
	if v.count != nil {
		v.count()
	}
	now := v.now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Before(v.next) {
		return
	}
	v.next = now.Add(v.every)
	v.show(p)
}
