package mover

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// maxError leaves room for the way in which JSON escapes quotes and control characters.
const maxError = 1500

// message is what a mover leaves behind: a result or an error.
type message struct {
	archive.Result
	Error string `json:"error"`
}

// EncodeResult encodes a result as a mover leaves it, with as many of the single changes and problems as fit.
// Their counts are always complete.
func EncodeResult(result archive.Result) ([]byte, error) {
	for {
		encoded, err := json.Marshal(result)
		if err != nil {
			return nil, fmt.Errorf("encode the result: %w", err)
		}
		switch {
		case len(encoded) <= contract.MaxResult:
			return encoded, nil
		case len(result.Changes) > 0:
			result.Changes = result.Changes[:len(result.Changes)-1]
		case len(result.Problems) > 0:
			result.Problems = result.Problems[:len(result.Problems)-1]
		case len(result.Warnings) > 0:
			result.Warnings = result.Warnings[:len(result.Warnings)-1]
		default:
			return encoded, nil
		}
	}
}

// EncodeError encodes an error as a mover leaves it, with as many of the problems that led to it as fit.
func EncodeError(failure error, result archive.Result) ([]byte, error) {
	left := struct {
		Error        string            `json:"error"`
		Problems     []archive.Problem `json:"problems,omitempty"`
		ProblemCount int               `json:"problemCount,omitempty"`
	}{failure.Error(), result.Problems, result.ProblemCount}
	if len(left.Error) > maxError {
		left.Error = left.Error[:maxError] + "…"
	}
	for {
		encoded, err := json.Marshal(left)
		if err != nil || len(encoded) <= contract.MaxResult || len(left.Problems) == 0 {
			return encoded, err
		}
		left.Problems = left.Problems[:len(left.Problems)-1]
	}
}

// Outcome decodes what cluster.Client.RunMover has returned. failed says why the work is not done, in the mover's
// own words if it left any. The work is done if there is a result, and the mover either succeeded or says that it
// had to leave out some entries. If the work is done, untidy says that the mover could not be removed.
func Outcome(output []byte, err error) (result archive.Result, untidy, failed error) {
	var left message
	decodeErr := json.Unmarshal(output, &left)
	whole := decodeErr == nil && left.RepositorySnapshot != ""
	var ended *cluster.MoverError
	switch {
	case errors.As(err, &ended):
		if whole && ended.ExitCode == contract.ExitProblems {
			return left.Result, nil, nil
		}
		if decodeErr == nil && left.Error != "" {
			return archive.Result{}, nil, &wordsError{text: fmt.Sprintf("mover pod %s: %s", ended.Pod, inItsWords(left, ended.Note)), ended: ended}
		}
		return archive.Result{}, nil, err
	case whole:
		return left.Result, err, nil
	case err != nil:
		return archive.Result{}, nil, err
	default:
		return archive.Result{}, nil, fmt.Errorf("the mover ended well but gave no result (%w); is the image another version of stsbackup?",
			cmp.Or(decodeErr, errors.New("no repository snapshot")))
	}
}

// wordsError says how a mover ended, in its own words.
type wordsError struct {
	text  string
	ended *cluster.MoverError
}

// Error is what the mover said.
func (e *wordsError) Error() string { return e.text }

// Unwrap is how the mover ended according to Kubernetes.
func (e *wordsError) Unwrap() error { return e.ended }

// inItsWords is what a mover says about its failure, plus what else is known.
func inItsWords(left message, note string) string {
	text := left.Error + problemText(left.Result)
	if note != "" {
		text += "; " + note
	}
	return text
}

// problemText names the problems behind an error, if there are several: a single problem is in the error already.
func problemText(result archive.Result) string {
	if result.ProblemCount < 2 || len(result.Problems) == 0 {
		return ""
	}
	named := make([]string, 0, len(result.Problems)+1)
	for _, problem := range result.Problems {
		named = append(named, problem.Path+": "+problem.Reason)
	}
	if more := result.ProblemCount - len(result.Problems); more > 0 {
		named = append(named, fmt.Sprintf("and %d more", more))
	}
	return " (" + strings.Join(named, "; ") + ")"
}

// waiting is a line in which a mover says what it waits for.
type waiting struct {
	Waiting string `json:"waiting"`
}

// EncodeWaiting encodes a line that says what a mover waits for before it can begin.
func EncodeWaiting(reason string) ([]byte, error) { return json.Marshal(waiting{reason}) }

// Waiting decodes such a line; "" if the line is of another kind.
func Waiting(line []byte) string {
	var w waiting
	if json.Unmarshal(line, &w) != nil {
		return ""
	}
	return w.Waiting
}

// Progress decodes a line of a mover's log; ok is false if the line does not say how much of the volume is done.
func Progress(line []byte) (progress archive.Progress, ok bool) {
	var says struct {
		Files *int64 `json:"files"`
	}
	if json.Unmarshal(line, &says) != nil || says.Files == nil {
		return archive.Progress{}, false
	}
	err := json.Unmarshal(line, &progress)
	return progress, err == nil
}
