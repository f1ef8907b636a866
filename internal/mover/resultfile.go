package mover

import (
	"fmt"
	"os"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// ResultFile is the file in which a mover leaves its last words, and from which Kubernetes takes the pod's
// termination message.
type ResultFile string

// Result writes a result.
func (f ResultFile) Result(result archive.Result) error { return f.leave(EncodeResult(result)) }

// Failure writes an error, and how far the mover had come.
func (f ResultFile) Failure(failure error, result archive.Result) error {
	return f.leave(EncodeError(failure, result))
}

// Probed writes that a probe has found everything it looked for.
func (f ResultFile) Probed() error { return f.leave(EncodeProbe()) }

func (f ResultFile) leave(encoded []byte, err error) error {
	if err != nil {
		return err
	}
	if err := os.WriteFile(string(f), encoded, 0o600); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}
