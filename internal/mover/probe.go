package mover

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// probed is the result of a probe that found everything it looked for.
type probed struct {
	Probe string `json:"probe"`
}

const probeFound = "ok"

// EncodeProbe is the result of a probe that found everything it looked for.
func EncodeProbe() ([]byte, error) { return json.Marshal(probed{probeFound}) }

// ProbeOutcome decodes what cluster.Client.ProbeMover has returned: nil if movers can do their work. The error
// says what they cannot do, in the probe's own words if it left any. A probe that could not be removed is an
// error, too: the movers after it may fare no better.
func ProbeOutcome(output []byte, err error) error {
	var left struct {
		message
		probed
	}
	decodeErr := json.Unmarshal(output, &left)
	var ended *cluster.MoverError
	switch {
	case errors.As(err, &ended) && decodeErr == nil && left.Error != "":
		return fmt.Errorf("movers cannot work: mover pod %s: %s", ended.Pod, inItsWords(left.message, ended.Note))
	case err != nil && errors.As(err, &ended) && ended.Reason == "Error":
		return fmt.Errorf("movers cannot work: %w; is the image another version of stsbackup?", err)
	case err != nil:
		return fmt.Errorf("movers cannot work: %w", err)
	case decodeErr != nil || left.Probe != probeFound:
		return errors.New(
			"the mover that checks whether movers can work ended well, but gave no result; is the image another version of stsbackup?",
		)
	}
	return nil
}
