package backup

import (
	"sync"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// Stage is how far a volume has come.
type Stage string

// The stages of a volume, in order; a volume ends as done or failed.
const (
	StageCapture Stage = "capture" // its VolumeSnapshot is being cut
	StageWait    Stage = "wait"    // captured, and waits for its turn
	StagePrepare Stage = "prepare" // VolumeSnapshot, temporary claim and mover are being made ready
	StageMove    Stage = "move"    // its data is being copied
	StageDone    Stage = "done"
	StageFailed  Stage = "failed"
)

// Progress is how far one volume is.
type Progress struct {
	Ordinal int32  `json:"ordinal"`
	Claim   string `json:"claim"`
	Stage   Stage  `json:"stage"`
	// Data counts what has been copied, from StageMove on.
	Data archive.Progress `json:"data"`
	// Waiting says what holds the volume up, in StagePrepare.
	Waiting string `json:"waiting,omitempty"`
	// Error says why it failed, in StageFailed.
	Error string `json:"error,omitempty"`
}

// Phase is what a backup as a whole is doing.
type Phase string

// The phases of a backup, in order. Each lasts until the next begins; the last one, until Run returns.
const (
	PhasePlan    Phase = "plan"    // with the preflight, the Lease and the sweep
	PhaseCapture Phase = "capture" // the cuts
	PhaseMove    Phase = "move"    // the data
	PhaseCommit  Phase = "commit"  // the record
	PhaseCleanup Phase = "cleanup"
)

// Reporter is told what a backup is doing. Calls come one at a time, but not all from the same goroutine.
type Reporter interface {
	// Phase is called when a phase begins. Which do depends on how far the backup comes.
	Phase(Phase)
	// Planned is called once, before anything is done.
	Planned(*Plan)
	// Note is a line for a person: a wait, something that was cleaned up, a warning.
	Note(string)
	// Volume is called whenever a volume's Progress changes.
	Volume(Progress)
}

// Silent is the Reporter that tells nobody.
type Silent struct{}

// Phase does nothing.
func (Silent) Phase(Phase) {}

// Planned does nothing.
func (Silent) Planned(*Plan) {}

// Note does nothing.
func (Silent) Note(string) {}

// Volume does nothing.
func (Silent) Volume(Progress) {}

// serial makes calls from several goroutines into calls that come one at a time, as a Reporter may expect.
type serial struct {
	mu       sync.Mutex
	reporter Reporter
}

// Phase passes on.
func (s *serial) Phase(phase Phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reporter.Phase(phase)
}

// Planned passes on.
func (s *serial) Planned(plan *Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reporter.Planned(plan)
}

// Note passes on.
func (s *serial) Note(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reporter.Note(message)
}

// Volume passes on.
func (s *serial) Volume(progress Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reporter.Volume(progress)
}
