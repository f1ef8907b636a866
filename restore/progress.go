package restore

import (
	"sync"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// Stage is how far a volume has come.
type Stage string

// The stages of a volume, in order; a volume ends as done or failed.
const (
	StageWait    Stage = "wait"    // its turn has not come
	StagePrepare Stage = "prepare" // its claim and mover are being made ready
	StageFill    Stage = "fill"    // its data is being written
	StageDone    Stage = "done"
	StageFailed  Stage = "failed"
)

// Progress is how far one volume is.
type Progress struct {
	Ordinal int32  `json:"ordinal"`
	Claim   string `json:"claim"`
	Stage   Stage  `json:"stage"`
	// Data counts what has been written, from StageFill on.
	Data archive.Progress `json:"data"`
	// Waiting says what holds the volume up, in StagePrepare.
	Waiting string `json:"waiting,omitempty"`
	// Error says why it failed, in StageFailed.
	Error string `json:"error,omitempty"`
}

// Reporter is told what a restore is doing. Calls come one at a time, but not all from the same goroutine.
type Reporter interface {
	// Note is a line for a person: a step, a wait, something that was cleaned up, a warning.
	Note(string)
	// Volume is called whenever a volume's Progress changes.
	Volume(Progress)
}

// Silent is the Reporter that tells nobody.
type Silent struct{}

// Note does nothing.
func (Silent) Note(string) {}

// Volume does nothing.
func (Silent) Volume(Progress) {}

// serial passes calls on one at a time.
type serial struct {
	lock     sync.Mutex
	reporter Reporter
}

// Note passes on.
func (s *serial) Note(message string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.reporter.Note(message)
}

// Volume passes on.
func (s *serial) Volume(p Progress) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.reporter.Volume(p)
}
