package catalog

import "time"

// RecordVersion is the version of the record's JSON that this code writes. A reader refuses records of later versions,
// and understands earlier ones.
//
// Version 2 added Volume.Changes and Volume.ChangeCount. With version 3 came longer ids, which earlier readers refuse.
const RecordVersion = 3

// Capture says how a volume's state was fixed.
type Capture string

// The ways to fix a volume's state.
const (
	CaptureSnapshot Capture = "snapshot" // one VolumeSnapshot per volume
	CaptureLive     Capture = "live"     // the claim itself is read while the pod runs
)

// State says whether a recovery point holds everything that its backup set out to save.
type State string

// The states of a recovery point.
const (
	StateComplete   State = "complete"
	StateIncomplete State = "incomplete" // some volumes failed; the others can be restored
)

// Record is the JSON document that names everything in a recovery point. It is written last: a recovery point
// exists when its record does.
type Record struct {
	Version int `json:"version"`
	// ID sorts by time: 20261121T081200Z-3fa91c07.
	ID    RecoveryPointID `json:"id"`
	State State           `json:"state"`
	// Cluster is the UID of the kube-system namespace of the cluster that the data came from.
	Cluster     string `json:"cluster"`
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	// StatefulSetUID tells a re-created StatefulSet from the one that was backed up.
	StatefulSetUID string    `json:"statefulSetUID"`
	Started        time.Time `json:"started"`
	Finished       time.Time `json:"finished"`
	// Replicas and OrdinalsStart give the ordinals: OrdinalsStart … OrdinalsStart+Replicas-1.
	Replicas      int32 `json:"replicas"`
	OrdinalsStart int32 `json:"ordinalsStart"`
	// Skew is the time between the first and the last cut, in nanoseconds.
	Skew    time.Duration `json:"skew"`
	Volumes []Volume      `json:"volumes"`
	// LeftOut names what belongs to the StatefulSet but is not in this recovery point, and why.
	LeftOut []LeftOut `json:"leftOut,omitempty"`
	// Tool is the version of stsbackup that wrote the record.
	Tool string `json:"tool"`
}

// Volume is one ordinal's claim in a recovery point.
type Volume struct {
	Ordinal  int32   `json:"ordinal"`
	Template string  `json:"template"`
	Claim    string  `json:"claim"`
	Capture  Capture `json:"capture"`
	// Cut is when the volume's state was fixed; for CaptureLive, when reading began.
	Cut time.Time `json:"cut"`
	// RepositorySnapshot is the id of the repository snapshot with the volume's data; empty if Error is set.
	RepositorySnapshot string `json:"repositorySnapshot,omitempty"`
	// Error says why this volume could not be saved.
	Error string `json:"error,omitempty"`
	// Files and Bytes are the size of the data; Stored is what this backup added to the bucket.
	Files  int64 `json:"files"`
	Bytes  int64 `json:"bytes"`
	Stored int64 `json:"stored"`
	// Problems are entries that could not be read whole, as "path: reason"; ProblemCount counts all of them.
	Problems     []string `json:"problems,omitempty"`
	ProblemCount int      `json:"problemCount,omitempty"`
	// Changes are files that others changed, or removed, while the backup read them, as "path: what happened";
	// ChangeCount counts all of them. The backup saved as much of them as was there: their volume is complete.
	Changes     []string `json:"changes,omitempty"`
	ChangeCount int      `json:"changeCount,omitempty"`

	// What the claim and its volume were, to provision them again. Size is the claim's capacity in bytes.
	Size         int64             `json:"size"`
	StorageClass string            `json:"storageClass,omitempty"`
	AccessModes  []string          `json:"accessModes,omitempty"`
	Mode         string            `json:"mode"` // Filesystem or Block
	Labels       map[string]string `json:"labels,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Driver       string            `json:"driver,omitempty"` // CSI driver, or the volume plugin's name
	Node         string            `json:"node,omitempty"`   // where the ordinal's pod ran
	Zone         string            `json:"zone,omitempty"`   // topology.kubernetes.io/zone of that node
}

// LeftOut is something that a recovery point does not hold.
type LeftOut struct {
	// What names the object: "volume cache of pod web-1 (emptyDir)", "claim www-web-7".
	What string `json:"what"`
	// Why says why the object is not in the recovery point.
	Why string `json:"why"`
}
