package holder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Status is what the holder writes about itself, for those who have to find it, ask about it or end it.
type Status struct {
	// PID is the holder's number on the host. Started, its start time in clock ticks, distinguishes it from a later
	// process with the same number.
	PID     int    `json:"pid"`
	Started uint64 `json:"started"`
	// Ready is set when the start has succeeded.
	Ready bool `json:"ready"`
	// Ended names the components that have ended since, and how each of them ended.
	Ended map[string]string `json:"ended,omitempty"`
	// API and S3 are the host's addresses of the two servers.
	API string `json:"api,omitempty"`
	S3  string `json:"s3,omitempty"`
}

// ReadStatus reads a status file; fs.ErrNotExist if there is none.
func ReadStatus(path string) (Status, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Status{}, err
	}
	var s Status
	if err := json.Unmarshal(data, &s); err != nil {
		return Status{}, fmt.Errorf("status %s: %w", path, err)
	}
	return s, nil
}

// write replaces the status file in one step.
func (s Status) write(path string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Alive says whether the holder still runs.
func (s Status) Alive() (bool, error) {
	state, err := s.state()
	return state != "" && state != "Z" && state != "X", err
}

// Reaped says whether the holder has ended and its parent, or the host's first process in its place, has noticed.
func (s Status) Reaped() (bool, error) {
	state, err := s.state()
	return state == "", err
}

// state is the letter of the holder's process state, "" if there is no such process.
func (s Status) state() (string, error) {
	if s.PID == 0 {
		return "", nil
	}
	started, state, err := startTime(fmt.Sprintf("/proc/%d/stat", s.PID))
	// A process that ends during the read gives either of these two errors.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || err == nil && started != s.Started {
		return "", nil
	}
	return state, err
}

// startTime reads when a process started and its state from its stat file.
func startTime(path string) (started uint64, state string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, "", err
	}
	return parseStat(string(data))
}

// parseStat returns the start time (field 22) and the state (field 3). The second field is the program's name in
// parentheses and may itself contain spaces and parentheses, so counting starts after the last one.
func parseStat(stat string) (started uint64, state string, err error) {
	_, rest, found := lastCut(stat, ')')
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return 0, "", fmt.Errorf("unexpected process status %q", stat)
	}
	started, err = strconv.ParseUint(fields[19], 10, 64)
	return started, fields[0], err
}

func lastCut(s string, at byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, at)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// hostPID is our number on the host: /proc is still the host's when we read it.
func hostPID() (int, error) {
	link, err := os.Readlink("/proc/self")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(filepath.Base(link))
}
