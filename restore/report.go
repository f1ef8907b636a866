package restore

import (
	"time"
)

// Report is what a restore has done.
type Report struct {
	Namespace     string `json:"namespace"`
	StatefulSet   string `json:"statefulSet"`
	RecoveryPoint string `json:"recoveryPoint"`
	Replicas      int32  `json:"replicas"`
	// Volumes are what was restored, in the plan's order.
	Volumes []Restored `json:"volumes"`
	// Displaced are the volumes that were set aside; they are kept until a person frees them.
	Displaced []DisplacedVolume `json:"displaced,omitempty"`
	// Duration is the wall time, in nanoseconds; Downtime the part of it without pods, until all were Ready again.
	Duration time.Duration `json:"duration"`
	Downtime time.Duration `json:"downtime"`
}

// Restored is one claim that was restored.
type Restored struct {
	Ordinal            int32  `json:"ordinal"`
	Claim              string `json:"claim"`
	Volume             string `json:"volume"`
	RepositorySnapshot string `json:"repositorySnapshot"`
	Files              int64  `json:"files"`
	Bytes              int64  `json:"bytes"`
	// Duration is the wall time from the mover's start to its end, in nanoseconds.
	Duration time.Duration `json:"duration"`
}

// DisplacedVolume is a PersistentVolume that was set aside.
type DisplacedVolume struct {
	Claim  string `json:"claim"`
	Volume string `json:"volume"`
	// Free is the command that gives up the data on it.
	Free string `json:"free"`
}
