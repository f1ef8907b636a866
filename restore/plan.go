package restore

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Kind is what a plan does.
type Kind string

// The kinds.
const (
	KindRestore Kind = "restore" // fills new volumes from a recovery point
	KindUndo    Kind = "undo"    // binds volumes again that were set aside
)

// Way is how a plan deals with an interrupted restore or undo.
type Way string

// The ways. WayNone refuses, and names the others.
const (
	WayNone    Way = ""
	WayResume  Way = "resume"       // continue it
	WayPutBack Way = "put back"     // restore everything that was there before it
	WayKeep    Way = "keep present" // keep what is there now, and end it
)

// PlanOptions are a person's wishes.
type PlanOptions struct {
	Kind Kind
	// Interrupted says what to do about an interrupted restore.
	Interrupted Way
	// Ordinals restricts an undo to these ordinals; empty means all.
	Ordinals []int32
	// Operation says which operation's volumes an undo brings back: it is the beginning of the id of the operation
	// that set them aside. Empty means the latest.
	Operation string
	// IgnoreManager turns refusals because of tools that would change the StatefulSet by themselves (Argo CD,
	// Flux, an operator, an autoscaler) into warnings.
	IgnoreManager bool
}

// Plan is what a restore or an undo will do. The caller makes it, shows it, and carries it out only if it has no refusals.
type Plan struct {
	Kind        Kind   `json:"kind"`
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	// UID is the StatefulSet's.
	UID types.UID `json:"uid"`
	// RecoveryPoint is the id of the recovery point to restore, Started when its backup began, State whether it is
	// complete. For an undo, they are the id of the operation that set the volumes aside, and the time of that.
	RecoveryPoint string        `json:"recoveryPoint"`
	Started       time.Time     `json:"started"`
	State         catalog.State `json:"state"`
	// SourceNamespace and SourceStatefulSet are where the data came from. SourceCluster is the UID of the cluster
	// that it came from, and SameCluster says whether that is this cluster.
	SourceNamespace   string `json:"sourceNamespace"`
	SourceStatefulSet string `json:"sourceStatefulSet"`
	SourceCluster     string `json:"sourceCluster"`
	SameCluster       bool   `json:"sameCluster"`
	// ReplicasBefore is the number of replicas to put back if the restore fails, ReplicasAfter the number at the end.
	ReplicasBefore int32 `json:"replicasBefore"`
	ReplicasAfter  int32 `json:"replicasAfter"`
	// Interrupted says how far an earlier, interrupted restore came; empty if there is none. Way is what the plan
	// does about it.
	Interrupted string `json:"interrupted,omitempty"`
	Way         Way    `json:"way,omitempty"`
	// Running are the pods that run now although that restore has not ended. Volumes to which they may have written are kept.
	Running []string `json:"running,omitempty"`
	// Volumes are the volumes to restore, by ordinal, then in the order of the claim templates.
	Volumes []Volume `json:"volumes"`
	// Steps say in words what Run will do, in order.
	Steps []string `json:"steps"`
	// Warnings are what a person should know before agreeing.
	Warnings []string `json:"warnings,omitempty"`
	// Refusals say what prevents the plan. With any refusal, nothing is done.
	Refusals []*cluster.Refusal `json:"refusals,omitempty"`

	options PlanOptions
	// situation is the input from which the plan was made.
	situation *index
	// tight says that a quota has room for movers only when the StatefulSet's pods are gone.
	tight bool
}

// Volume is the restore of one ordinal's claim.
type Volume struct {
	Ordinal  int32  `json:"ordinal"`
	Template string `json:"template"`
	Claim    string `json:"claim"`
	// RepositorySnapshot holds the data; Cut is the time of its state; Files and Bytes are the totals to expect.
	RepositorySnapshot string    `json:"repositorySnapshot"`
	Cut                time.Time `json:"cut"`
	Files              int64     `json:"files"`
	Bytes              int64     `json:"bytes"`
	// SourceClaim is the name under which the data was backed up.
	SourceClaim string `json:"sourceClaim"`
	// Node and Zone are where the ordinal ran when it was backed up; its new volume goes there if possible.
	Node string `json:"node,omitempty"`
	Zone string `json:"zone,omitempty"`
	// Size (bytes), Class and Spare are the new volume's: Spare is the PersistentVolume to use if the class has no
	// provisioner.
	Size  int64  `json:"size"`
	Class string `json:"class,omitempty"`
	Spare string `json:"spare,omitempty"`
	// Brings is the PersistentVolume that an undo binds again.
	Brings string `json:"brings,omitempty"`
	// Present is what exists now.
	Present Present `json:"present"`

	// classless says that the volume is meant to have no class; an empty Class alone does not say so.
	classless bool
	// manifest is the claim to create.
	manifest corev1.PersistentVolumeClaim
	// displaced is what is needed to put the present claim back; nil if there is none.
	displaced *cluster.Displaced
	// brings is the volume that an undo binds again.
	brings *cluster.Displaced
	// recorded is what the recovery point says about the volume, nil in an undo; now is what exists in the cluster.
	recorded *catalog.Volume
	now      *place
}

// PresentState says what exists now under a claim's name.
type PresentState string

// The states of a present claim.
const (
	PresentBound   PresentState = "bound"   // a claim with its volume
	PresentUnbound PresentState = "unbound" // a claim that has no volume yet
	PresentLost    PresentState = "lost"    // a claim whose volume is gone, or belongs to another claim
	PresentMissing PresentState = "missing" // no claim
	PresentMade    PresentState = "made"    // a claim that an interrupted restore has made
)

// Present is a claim as it is before the restore.
type Present struct {
	State PresentState `json:"state"`
	// Volume is the claim's PersistentVolume, for PresentBound.
	Volume string `json:"volume,omitempty"`
	// Fate says in words what happens to it.
	Fate string `json:"fate"`
	// going says that the claim has been deleted, and goes when no pod uses it any more.
	going bool
}

// NewPlan decides what to do. What it cannot do, or should not do unless a person agrees, becomes a refusal of
// the plan, never an error: a plan with refusals still shows all that is known.
func NewPlan(situation Situation, options PlanOptions) Plan {
	s := newIndex(situation)
	if j := s.Journal; j != nil {
		switch {
		case j.Phase == PhaseResume && options.Interrupted != WayNone:
			return newCompletePlan(s, options)
		case j.Phase != PhaseResume && options.Interrupted != WayResume:
			return newSettlePlan(s, options)
		case j.Phase != PhaseResume && j.Kind == KindUndo:
			return newResumedUndoPlan(s, options)
		}
	}
	if s.Journal == nil && options.Interrupted != WayNone {
		return newNothingPlan(s, options)
	}
	if options.Kind == KindUndo {
		return newUndoPlan(s, options)
	}
	p := newPlan(s, options)
	p.Volumes = p.choose()
	p.assignSpares()
	p.checkOwners()
	p.checkClaims()
	p.checkQuotas()
	p.warn()
	p.Steps = p.steps()
	return p
}

// newPlan is the common beginning of all plans.
func newPlan(s *index, options PlanOptions) Plan {
	sts, record := s.StatefulSet, s.Record
	p := Plan{
		Kind: KindRestore, Namespace: sts.Namespace, StatefulSet: sts.Name, UID: sts.UID,
		RecoveryPoint: string(record.ID), Started: record.Started, State: record.State,
		SourceNamespace: record.Namespace, SourceStatefulSet: record.StatefulSet,
		SourceCluster: record.Cluster, SameCluster: record.Cluster == s.Cluster,
		ReplicasBefore: cluster.Replicas(sts), ReplicasAfter: cluster.Replicas(sts), options: options, situation: s,
	}
	if options.Kind == KindUndo {
		p.Kind = KindUndo
	}
	p.interrupted()
	if p.ReplicasAfter == 0 {
		p.ReplicasAfter = record.Replicas
	}
	return p
}

// refuse adds a refusal about the StatefulSet itself.
func (p *Plan) refuse(reason, next string) {
	p.refuseAbout(p.key().Object(), reason, next)
}

func (p *Plan) refuseAbout(object, reason, next string) {
	p.Refusals = append(p.Refusals, &cluster.Refusal{Object: object, Reason: reason, Next: next})
}

func (p *Plan) key() cluster.Key { return cluster.Key{Namespace: p.Namespace, Name: p.StatefulSet} }

func (p *Plan) target() string { return p.key().String() }

// Ordinals are the ordinals to restore, ascending.
func (p *Plan) Ordinals() []int32 {
	var ordinals []int32
	for _, v := range p.Volumes {
		ordinals = append(ordinals, v.Ordinal)
	}
	slices.Sort(ordinals)
	return slices.Compact(ordinals)
}

// choose pairs the ordinals that the StatefulSet will have with what the recovery point holds: all or nothing.
// An ordinal without data would start empty among full ones, and replicate its emptiness.
func (p *Plan) choose() []Volume {
	sts := p.situation.StatefulSet
	if len(sts.Spec.VolumeClaimTemplates) == 0 {
		p.refuse("it has no volumeClaimTemplates, so there are no claims to restore",
			"restore single volumes with \"stsbackup volume restore\"")
		return nil
	}
	var volumes []Volume
	var lacking, failed []string
	for i := range p.ReplicasAfter {
		ordinal := cluster.OrdinalsStart(sts) + i
		for t := range sts.Spec.VolumeClaimTemplates {
			template := &sts.Spec.VolumeClaimTemplates[t]
			claim := cluster.ClaimName(template.Name, sts.Name, ordinal)
			recorded := p.situation.saved[slot{ordinal, template.Name}]
			switch {
			case recorded == nil:
				lacking = append(lacking, claim)
			case recorded.RepositorySnapshot == "":
				failed = append(failed, fmt.Sprintf("%s (%s)", claim, recorded.Error))
			default:
				volumes = append(volumes, p.volume(template, recorded, claim))
			}
		}
	}
	if len(lacking) > 0 {
		p.refuse(fmt.Sprintf("recovery point %s holds nothing for %s", p.RecoveryPoint, strings.Join(lacking, ", ")), p.lackingNext())
	}
	if len(failed) > 0 {
		p.refuse(fmt.Sprintf("recovery point %s is incomplete; what could not be saved: %s", p.RecoveryPoint, strings.Join(failed, ", ")),
			fmt.Sprintf("choose a complete one from \"stsbackup list %s\"", p.target()))
	}
	return volumes
}

func (p *Plan) lackingNext() string {
	s := p.situation
	if s.Record.OrdinalsStart == cluster.OrdinalsStart(s.StatefulSet) && s.Record.Replicas < p.ReplicasAfter {
		warning := ""
		if retention(s.StatefulSet).WhenScaled == "Delete" {
			warning = " (with whenScaled: Delete that deletes the claims of the ordinals beyond)"
		}
		return fmt.Sprintf(
			"it was made of %d replicas: run \"kubectl -n %s scale statefulset %s --replicas=%d\" first%s, or choose another recovery point from "+
				"\"stsbackup list %s\"",
			s.Record.Replicas,
			p.Namespace,
			p.StatefulSet,
			s.Record.Replicas,
			warning,
			p.target(),
		)
	}
	return fmt.Sprintf("choose another recovery point from \"stsbackup list %s\"; \"stsbackup show %s@%s\" says what this one holds",
		p.target(), p.target(), p.RecoveryPoint)
}

// Same reports whether two plans do the same to the same objects, so that consent to one covers the other.
func (p *Plan) Same(agreed Plan) bool {
	return p.UID == agreed.UID && p.RecoveryPoint == agreed.RecoveryPoint && p.Kind == agreed.Kind && p.Way == agreed.Way &&
		p.ReplicasBefore == agreed.ReplicasBefore && p.ReplicasAfter == agreed.ReplicasAfter &&
		slices.EqualFunc(p.Volumes, agreed.Volumes, func(a, b Volume) bool {
			return a.Claim == b.Claim && a.RepositorySnapshot == b.RepositorySnapshot && a.Size == b.Size && a.Class == b.Class &&
				a.Spare == b.Spare && a.Brings == b.Brings && a.Present.follows(b.Present)
		})
}

// follows reports whether a is b, or what b becomes by itself: an unbound claim gets a volume, and a deleted
// claim goes.
func (a Present) follows(b Present) bool {
	return a.State == b.State && a.Volume == b.Volume || a.State == PresentBound && b.State == PresentUnbound ||
		a.State == PresentMissing && b.going
}

// retention is the StatefulSet's policy for its claims, with the API's defaults.
func retention(sts *appsv1.StatefulSet) appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy {
	policy := appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
		WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
		WhenScaled:  appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
	}
	if given := sts.Spec.PersistentVolumeClaimRetentionPolicy; given != nil {
		if given.WhenDeleted != "" {
			policy.WhenDeleted = given.WhenDeleted
		}
		if given.WhenScaled != "" {
			policy.WhenScaled = given.WhenScaled
		}
	}
	return policy
}
