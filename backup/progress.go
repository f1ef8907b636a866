package backup

import "github.com/stsbackup/stsbackup/internal/report"

// The phases of a backup, in order.
const (
	PhasePlan    report.Phase = "plan"    // with the preflight, the Lease and the sweep
	PhaseCapture report.Phase = "capture" // the cuts
	PhaseMove    report.Phase = "move"    // the data
	PhaseCommit  report.Phase = "commit"  // the record
	PhaseCleanup report.Phase = "cleanup"
)
