package restore

import (
	"context"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// Report says what a restore has done.
type Report struct {
	Namespace     string `json:"namespace"`
	StatefulSet   string `json:"statefulSet"`
	RecoveryPoint string `json:"recoveryPoint"`
	// Kind is what was done, Operation the id under which volumes were set aside.
	Kind      Kind   `json:"kind"`
	Operation string `json:"operation"`
	Replicas  int32  `json:"replicas"`
	// PutBack says that an interrupted restore was put back, Kept that it was ended as it was. Otherwise
	// RecoveryPoint was restored, or an undo has brought back what that operation had set aside.
	PutBack bool `json:"putBack,omitempty"`
	Kept    bool `json:"kept,omitempty"`
	// Volumes are the restored volumes, in the plan's order.
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

func (x *run) fillReport(ctx context.Context) {
	now := x.Now()
	x.report.Namespace, x.report.StatefulSet = x.op.Namespace, x.op.StatefulSet
	x.report.RecoveryPoint, x.report.Replicas = x.journal.RecoveryPoint, x.journal.ReplicasAfter
	x.report.Kind, x.report.Operation = x.journal.Kind, x.journal.Operation
	x.report.Duration = now.Sub(x.began)
	if !x.down.IsZero() {
		x.report.Downtime = now.Sub(x.down)
	}
	if x.report.PutBack {
		return
	}
	for _, v := range x.journal.Volumes {
		if v.Brings != nil {
			x.report.Volumes = append(x.report.Volumes, Restored{Ordinal: v.Ordinal, Claim: v.Claim, Volume: v.Brings.Volume})
		}
		if v.Displaced == nil || v.Displaced.Volume == "" {
			continue
		}
		displaced := DisplacedVolume{Claim: v.Claim, Volume: v.Displaced.Volume}
		if volume, err := x.Cluster.Volume(ctx, v.Displaced.Volume); err == nil && volume != nil {
			if volume.Labels[cluster.LabelDisplacedFrom] == "" {
				continue // a claim holds it again
			}
			displaced.Free = cluster.FreeCommand(volume)
		}
		x.report.Displaced = append(x.report.Displaced, displaced)
	}
}
