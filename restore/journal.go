package restore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// journalVersion is the version of the journal's JSON. Version 1 had no states, and no proof that nobody has
// written to a volume since: what such a restore made is set aside, and never removed.
const journalVersion = 2

// Phase is how far a restore or an undo has come. The journal gets it before the phase's first effect.
type Phase string

// The phases in order.
const (
	PhaseGuard  Phase = "guard"  // reclaim and retention policies are being changed; pods run
	PhaseDown   Phase = "down"   // held: scaled to 0, and new pods wait
	PhaseAside  Phase = "aside"  // claims are being deleted and created
	PhaseFill   Phase = "fill"   // movers write
	PhaseResume Phase = "resume" // every volume is handed over and pods may run on it: only a person can go back
)

// VolumeState is how far one volume has come. The journal gets a state when its step is done. Only
// StateHandedOver is written earlier: before a pod can start on the volume.
type VolumeState string

// The states in order.
const (
	StatePresent    VolumeState = "present"     // the claim is as it was found
	StateAside      VolumeState = "set aside"   // its volume is kept, and the claim is gone
	StateMade       VolumeState = "made"        // the new claim exists; its data is not complete
	StateFilled     VolumeState = "filled"      // the mover has succeeded
	StateChecked    VolumeState = "checked"     // and what it wrote matches the record
	StateHandedOver VolumeState = "handed over" // pods may have written since: it is data, and not debris
)

// Journal is what continuing, putting back and undoing need. It is in a ConfigMap beside the StatefulSet from
// before the first change until after the last.
type Journal struct {
	Version int `json:"version"`
	// Operation is the operation that began; Others are those that continued it or put it back after an interruption.
	Operation string    `json:"operation"`
	Others    []string  `json:"others,omitempty"`
	Started   time.Time `json:"started"`
	// Kind is what the operation does.
	Kind Kind `json:"kind,omitempty"`
	// RecoveryPoint is the recovery point to restore; for an undo, the operation that set the volumes aside.
	RecoveryPoint string `json:"recoveryPoint"`
	// Source is where the recovery point is, as namespace/statefulset@id.
	Source string `json:"source,omitempty"`
	Phase  Phase  `json:"phase"`
	// UID, Replicas and Retention are the StatefulSet's, as they were found; ReplicasAfter is the number of
	// replicas after the restore.
	UID           types.UID                                              `json:"uid"`
	Replicas      int32                                                  `json:"replicas"`
	ReplicasAfter int32                                                  `json:"replicasAfter"`
	Retention     appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy `json:"retention"`
	// Held is the StatefulSet's generation when it was held and no pod could run. While the StatefulSet still has
	// that generation, nobody has scaled it or changed its template, so none of its pods has run. 0 means never.
	Held    int64           `json:"held,omitempty"`
	Volumes []JournalVolume `json:"volumes"`

	// uid and version are the ConfigMap's, as it was last read or written.
	uid     types.UID
	version string
}

// JournalVolume is one claim of the journal.
type JournalVolume struct {
	Ordinal  int32       `json:"ordinal"`
	Template string      `json:"template"`
	Claim    string      `json:"claim"`
	State    VolumeState `json:"state,omitempty"`
	// SourceClaim and RepositorySnapshot say with what to fill the new claim.
	SourceClaim        string `json:"sourceClaim,omitempty"`
	RepositorySnapshot string `json:"repositorySnapshot,omitempty"`
	// Displaced is the claim that was there before; nil if there was none.
	Displaced *cluster.Displaced `json:"displaced,omitempty"`
	// Made and MadeVolume are the UIDs of the new claim and of its volume, as far as known.
	Made       types.UID `json:"made,omitempty"`
	MadeVolume types.UID `json:"madeVolume,omitempty"`
	// Brings is the volume that an undo binds again instead of making a new one.
	Brings *cluster.Displaced `json:"brings,omitempty"`
	// Spare is the volume that people made and the new claim uses; SpareReserved says that it was reserved for a
	// claim of this name.
	Spare         string `json:"spare,omitempty"`
	SpareReserved bool   `json:"spareReserved,omitempty"`
	// Filled says that the spare was empty, and that a mover has begun to write to it.
	Filled bool `json:"filled,omitempty"`
}

// newJournal is the journal of a plan that is about to be carried out.
func newJournal(p *Plan, operation string, started time.Time) *Journal {
	j := &Journal{
		Version: journalVersion, Operation: operation, Started: started.UTC(), Kind: p.Kind, RecoveryPoint: p.RecoveryPoint, Phase: PhaseGuard,
		Source: p.source(), UID: p.UID, Replicas: p.ReplicasBefore, ReplicasAfter: p.ReplicasAfter, Retention: retention(p.situation.StatefulSet),
	}
	for _, v := range p.Volumes {
		spare := p.situation.volumes[v.Spare]
		j.Volumes = append(j.Volumes, JournalVolume{
			Ordinal: v.Ordinal, Template: v.Template, Claim: v.Claim, State: StatePresent,
			SourceClaim: v.SourceClaim, RepositorySnapshot: v.RepositorySnapshot,
			Displaced: v.displaced, Brings: v.brings, Spare: v.Spare,
			SpareReserved: spare != nil && spare.Spec.ClaimRef != nil,
		})
	}
	return j
}

// add takes over what the plan of a continued restore has beyond the journal: somebody may have created the
// StatefulSet anew with more replicas.
func (j *Journal) add(planned *Journal) {
	for _, v := range planned.Volumes {
		if j.find(v.Claim) == nil {
			j.Volumes = append(j.Volumes, v)
		}
	}
}

// operations are all operations that have worked on this restore or undo.
func (j *Journal) operations() []string { return append([]string{j.Operation}, j.Others...) }

// verb says, as part of a sentence, what the journal's operation was doing: "the restore of …".
func (j *Journal) verb() string {
	if j.Kind == KindUndo {
		return "the undo of restore " + j.RecoveryPoint
	}
	return "the restore of " + j.RecoveryPoint
}

// created reports whether the journal's operation made the claim.
func (j *Journal) created(v *JournalVolume, claim *corev1.PersistentVolumeClaim) bool {
	return slices.Contains(j.operations(), claim.Annotations[annotationOperation]) && (v.Displaced == nil || v.Displaced.UID != claim.UID)
}

// find is the journal's entry for a claim; nil if there is none.
func (j *Journal) find(claim string) *JournalVolume {
	for i := range j.Volumes {
		if j.Volumes[i].Claim == claim {
			return &j.Volumes[i]
		}
	}
	return nil
}

// check fails for a journal that no restore in this namespace can have written. Whoever may write ConfigMaps
// here must not be able to have claims or volumes of other namespaces changed by a user with more rights.
func (j *Journal) check(key cluster.Key) error {
	if !slices.Contains([]Phase{PhaseGuard, PhaseDown, PhaseAside, PhaseFill, PhaseResume}, j.Phase) {
		return fmt.Errorf("there is no phase %q", j.Phase)
	}
	if j.Operation == "" || j.UID == "" || j.Replicas < 0 || j.ReplicasAfter < 0 {
		return errors.New("it names no operation, or no StatefulSet")
	}
	for i := range j.Volumes {
		v := &j.Volumes[i]
		if v.Claim != cluster.ClaimName(v.Template, key.Name, v.Ordinal) {
			return fmt.Errorf("claim %q is none of the StatefulSet's", v.Claim)
		}
		if slices.ContainsFunc(j.Volumes[:i], func(other JournalVolume) bool { return other.Claim == v.Claim }) {
			return fmt.Errorf("claim %q is in it twice", v.Claim)
		}
		for _, d := range []*cluster.Displaced{v.Displaced, v.Brings} {
			switch {
			case d == nil:
			case d.Claim == nil || d.Claim.Namespace != key.Namespace || d.Claim.Name != v.Claim:
				return fmt.Errorf("the claim that is to be put back for %q is another one", v.Claim)
			case d.Volume != "" && d.VolumeUID == "":
				return fmt.Errorf("volume %q has no UID", d.Volume)
			}
		}
	}
	return nil
}

// words tells a person how far the journal's operation came.
func (j *Journal) words() string {
	counts := map[VolumeState]int{}
	for _, v := range j.Volumes {
		counts[v.State]++
	}
	var parts []string
	for _, state := range []VolumeState{StatePresent, StateAside, StateMade, StateFilled, StateChecked, StateHandedOver} {
		if n := counts[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	return fmt.Sprintf("%s, which began at %s, was interrupted in phase %q (volumes: %s)",
		j.verb(), j.Started.Format(time.RFC3339), j.Phase, strings.Join(parts, ", "))
}
