package report

import (
	"sync"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// Phase is what an operation as a whole is doing. Each phase lasts until the next begins; the last one, until the operation ends.
type Phase string

// Stage is how far a volume has come.
type Stage string

// The stages of a volume, in order. A backup has all but fill, a restore all but capture and move.
const (
	StageCapture Stage = "capture" // its state is being fixed
	StageWait    Stage = "wait"    // it waits for its turn
	StagePrepare Stage = "prepare" // its mover, and what the mover needs, are being prepared
	StageMove    Stage = "move"    // its data is being copied into the repository
	StageFill    Stage = "fill"    // its data is being written
	StageDone    Stage = "done"
	StageFailed  Stage = "failed"
)

// Moving reports whether the volume's data is being copied.
func (s Stage) Moving() bool { return s == StageMove || s == StageFill }

// Progress is how far one volume is.
type Progress struct {
	Ordinal int32  `json:"ordinal"`
	Claim   string `json:"claim"`
	Stage   Stage  `json:"stage"`
	// Data counts what has been copied, while Stage is Moving and after that.
	Data archive.Progress `json:"data"`
	// Waiting says what delays the volume, in StagePrepare.
	Waiting string `json:"waiting,omitempty"`
	// Error says why the volume failed, in StageFailed.
	Error string `json:"error,omitempty"`
}

// Reporter is told what an operation is doing. Calls come one at a time, but not all from the same goroutine.
type Reporter interface {
	// Phase is called when a phase begins. How far the operation comes decides which phases begin.
	Phase(Phase)
	// Note is a line for a person: a step, a wait, something that was cleaned up.
	Note(message string)
	// Warn is a line for a person that asks for attention, although the operation goes on.
	Warn(message string)
	// Volume is called whenever a volume's Progress changes.
	Volume(Progress)
}

// Silent is a Reporter that tells nobody.
type Silent struct{}

// Phase does nothing.
func (Silent) Phase(Phase) {}

// Note does nothing.
func (Silent) Note(string) {}

// Warn does nothing.
func (Silent) Warn(string) {}

// Volume does nothing.
func (Silent) Volume(Progress) {}

// Serial turns calls from several goroutines into calls that come one at a time, as a Reporter may expect.
type Serial struct {
	mu       sync.Mutex
	reporter Reporter
}

// NewSerial returns a Serial that passes calls on to the reporter.
func NewSerial(reporter Reporter) *Serial { return &Serial{reporter: reporter} }

// Phase passes the call on.
func (s *Serial) Phase(phase Phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reporter.Phase(phase)
}

// Note passes the call on.
func (s *Serial) Note(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reporter.Note(message)
}

// Warn passes the call on.
func (s *Serial) Warn(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reporter.Warn(message)
}

// Volume passes the call on.
func (s *Serial) Volume(progress Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reporter.Volume(progress)
}
