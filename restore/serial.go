package restore

import "sync"

// serial makes calls from several goroutines into calls that come one at a time, as a Reporter may expect: the Lease tells of
// an API server that is away while volumes are filled.
type serial struct {
	mutex    sync.Mutex
	reporter Reporter
}

// Note passes the call on.
func (s *serial) Note(message string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.reporter.Note(message)
}

// Volume passes the call on.
func (s *serial) Volume(progress Progress) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.reporter.Volume(progress)
}
