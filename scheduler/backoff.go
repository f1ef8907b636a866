package scheduler

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const (
	backoffFirst = 15 * time.Second
	// backoffLook is the longest wait after a failure to list recovery points. Listing costs little, and the scheduler
	// should soon notice that a bucket is back.
	backoffLook = 2 * time.Minute
	// backoffMost is the longest wait after a failed backup.
	backoffMost = 30 * time.Minute
	// busyMost is the longest wait for somebody else to finish.
	busyMost = 2 * time.Minute
)

// backoff is how long to wait after so many failures in a row, counted from 1: twice as long each time, up to most. It
// differs by up to a quarter between StatefulSets, so that backups that fail together are retried at different times.
func backoff(of Name, failures int, most time.Duration) time.Duration {
	wait := most
	if shift := failures - 1; shift < 20 {
		wait = min(most, backoffFirst<<max(0, shift))
	}
	sum := sha256.Sum256([]byte(of.String()))
	share := float64(binary.BigEndian.Uint32(sum[:4])) / (1 << 32)
	return wait - time.Duration(share*float64(wait/4))
}
