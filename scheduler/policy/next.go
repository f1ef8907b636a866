package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Next is the first time after the given one at which a StatefulSet's backup is due, including its jitter; the zero
// time if the policy is suspended.
func (p *Policy) Next(namespace, statefulSet string, after time.Time) time.Time {
	if p.Suspend {
		return time.Time{}
	}
	offset := p.Offset(namespace, statefulSet)
	due := p.Schedule.Next(after.Add(-offset))
	if due.IsZero() {
		return due
	}
	return due.Add(offset)
}

// Offset is how much later the runs of a StatefulSet are due: whole seconds, less than Jitter, always the same.
func (p *Policy) Offset(namespace, statefulSet string) time.Duration {
	seconds := uint64(p.Jitter / time.Second)
	if seconds == 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(namespace + "/" + statefulSet))
	return time.Duration(binary.BigEndian.Uint64(sum[:8])%seconds) * time.Second
}
