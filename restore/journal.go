package restore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// journalVersion is the version of the journal's JSON.
const journalVersion = 1

// Phase is how far a restore has come. It is written before the phase's first effect.
type Phase string

// The phases in order.
const (
	PhaseGuard  Phase = "guard"  // reclaim and retention policies are being changed; pods run
	PhaseDown   Phase = "down"   // scaled to 0
	PhaseAside  Phase = "aside"  // claims are being deleted and created
	PhaseFill   Phase = "fill"   // movers write
	PhaseResume Phase = "resume" // every ordinal is complete; pods may run on the new volumes: no way back
)

// Journal is what putting back needs. It lies in a ConfigMap beside the StatefulSet from before the first change
// until after the last.
type Journal struct {
	Version   int       `json:"version"`
	Operation string    `json:"operation"`
	Started   time.Time `json:"started"`
	// RecoveryPoint is what was to be restored.
	RecoveryPoint string `json:"recoveryPoint"`
	Phase         Phase  `json:"phase"`
	// UID, Replicas and Retention are the StatefulSet's, as they were found; ReplicasAfter is what the restore ends
	// with.
	UID           types.UID                                              `json:"uid"`
	Replicas      int32                                                  `json:"replicas"`
	ReplicasAfter int32                                                  `json:"replicasAfter"`
	Retention     appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy `json:"retention"`
	Volumes       []JournalVolume                                        `json:"volumes"`
}

// JournalVolume is one claim of the journal.
type JournalVolume struct {
	Ordinal  int32  `json:"ordinal"`
	Template string `json:"template"`
	Claim    string `json:"claim"`
	// Displaced is the claim that was there, nil if there was none.
	Displaced *cluster.Displaced `json:"displaced,omitempty"`
	// Spare is the volume that people made and the new claim uses; SpareReserved says that it was reserved for a
	// claim of this name.
	Spare         string `json:"spare,omitempty"`
	SpareReserved bool   `json:"spareReserved,omitempty"`
	// SourceClaim and RepositorySnapshot are what the new claim is filled with.
	SourceClaim        string `json:"sourceClaim,omitempty"`
	RepositorySnapshot string `json:"repositorySnapshot,omitempty"`
	// Filling says that the spare may hold a part of the restored data, and Filled that it was empty and holds all of it now.
	Filling bool `json:"filling,omitempty"`
	Filled  bool `json:"filled,omitempty"`
}

// newJournal is the journal of a plan that is about to be carried out.
func newJournal(p *Plan, s *Situation, operation string, started time.Time) *Journal {
	j := &Journal{
		Version: journalVersion, Operation: operation, Started: started.UTC(), RecoveryPoint: p.RecoveryPoint, Phase: PhaseGuard,
		UID: p.UID, Replicas: p.ReplicasBefore, ReplicasAfter: p.ReplicasAfter, Retention: retention(s.StatefulSet),
	}
	for _, v := range p.Volumes {
		spare := s.volume(v.Spare)
		j.Volumes = append(j.Volumes, JournalVolume{
			Ordinal: v.Ordinal, Template: v.Template, Claim: v.Claim, Displaced: v.displaced, Spare: v.Spare,
			SpareReserved: spare != nil && spare.Spec.ClaimRef != nil, SourceClaim: v.SourceClaim, RepositorySnapshot: v.RepositorySnapshot,
		})
	}
	return j
}

// words says what NewPlan does about the journal of an earlier restore.
func (j *Journal) words() string {
	if j.Phase == PhaseResume {
		return fmt.Sprintf("complete the restore of %s that was interrupted when all its data was in place: scale to %d replicas", j.RecoveryPoint, j.ReplicasAfter)
	}
	return fmt.Sprintf("put back what the restore of %s has changed that was interrupted in phase %q: its claims, and %d replicas", j.RecoveryPoint, j.Phase, j.Replicas)
}

// settled is the situation as it will be when the journal's restore has been put back or completed. The plan is made
// for that situation.
func (j *Journal) settled(s Situation) Situation {
	s.Journal = nil
	if s.StatefulSet.UID == j.UID {
		sts := s.StatefulSet.DeepCopy()
		replicas, policy := j.Replicas, j.Retention
		if j.Phase == PhaseResume {
			replicas = j.ReplicasAfter
		}
		sts.Spec.Replicas, sts.Spec.PersistentVolumeClaimRetentionPolicy = &replicas, &policy
		s.StatefulSet = sts
	}
	if j.Phase == PhaseResume {
		return s
	}
	s.Claims, s.Volumes = slices.Clone(s.Claims), slices.Clone(s.Volumes)
	for i := range j.Volumes {
		s.settle(j, &j.Volumes[i])
	}
	return s
}

// settle replaces one claim, and what is known of its volumes, by what it will be.
func (s *Situation) settle(j *Journal, v *JournalVolume) {
	live := s.claim(v.Claim)
	if live != nil && j.created(v, live) {
		for k := range s.Volumes {
			if cluster.BoundTo(&s.Volumes[k], live) {
				s.Volumes[k].Spec.ClaimRef = nil
				s.Volumes[k].Status.Phase = corev1.VolumeAvailable
			}
		}
		s.Volumes = slices.DeleteFunc(s.Volumes, func(volume corev1.PersistentVolume) bool {
			return volume.Name == live.Spec.VolumeName && volume.Spec.ClaimRef == nil && cluster.Provisioned(&volume)
		})
		s.Claims = slices.DeleteFunc(s.Claims, func(claim corev1.PersistentVolumeClaim) bool { return claim.Name == v.Claim })
		live = nil
	}
	if v.Displaced == nil || live != nil && live.DeletionTimestamp == nil {
		return
	}
	s.Claims = slices.DeleteFunc(s.Claims, func(claim corev1.PersistentVolumeClaim) bool { return claim.Name == v.Claim })
	if volume := s.volume(v.Displaced.Volume); v.Displaced.Volume != "" && (volume == nil || volume.UID != v.Displaced.VolumeUID) {
		return
	}
	again := *v.Displaced.Claim.DeepCopy()
	again.UID = v.Displaced.UID
	s.Claims = append(s.Claims, again)
	for k := range s.Volumes {
		if volume := &s.Volumes[k]; volume.Name == v.Displaced.Volume && volume.UID == v.Displaced.VolumeUID {
			volume.Spec.PersistentVolumeReclaimPolicy = v.Displaced.ReclaimPolicy
			volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: again.Namespace, Name: again.Name, UID: again.UID}
			volume.Status.Phase = corev1.VolumeBound
		}
	}
}

// created reports whether the journal's restore made the claim.
func (j *Journal) created(v *JournalVolume, claim *corev1.PersistentVolumeClaim) bool {
	return claim.Annotations[annotationOperation] == j.Operation && (v.Displaced == nil || v.Displaced.UID != claim.UID)
}

// readJournal reads the StatefulSet's journal; nil if there is none.
func readJournal(ctx context.Context, c *cluster.Client, op cluster.Operation) (*Journal, error) {
	namespace, statefulSet := op.Namespace, op.StatefulSet
	name := cluster.JournalName(statefulSet)
	stored, err := c.Kube.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal %s/%s: %w", namespace, name, err)
	}
	j := &Journal{}
	if err := json.Unmarshal([]byte(stored.Data[cluster.JournalKey]), j); err != nil {
		return nil, fmt.Errorf("read the journal of an interrupted restore, ConfigMap %s/%s: %w", namespace, name, err)
	}
	if j.Version > journalVersion {
		return nil, fmt.Errorf("the journal of an interrupted restore, ConfigMap %s/%s, is of a later version (%d) of stsbackup: use that one", namespace, name, j.Version)
	}
	if err := j.check(namespace); err != nil {
		return nil, fmt.Errorf("the journal of an interrupted restore, ConfigMap %s/%s, is not one that a restore has written: %w; look who has changed it, and delete it if the StatefulSet's claims are as they should be",
			namespace, name, err)
	}
	return j, nil
}

// check reports what no restore in this namespace can have written. Whoever may write ConfigMaps here must not have
// claims or volumes of other namespaces changed by somebody who may do more.
func (j *Journal) check(namespace string) error {
	for _, v := range j.Volumes {
		d := v.Displaced
		switch {
		case d == nil:
		case d.Claim == nil || d.Claim.Namespace != namespace || d.Claim.Name != v.Claim:
			return fmt.Errorf("the claim that is to be put back for %q is another one", v.Claim)
		case d.Volume != "" && d.VolumeUID == "":
			return fmt.Errorf("volume %q has no UID", d.Volume)
		}
	}
	return nil
}

// object is the journal's ConfigMap. It does not carry the operation's label: whatever sweeps up after dead operations
// must leave it alone.
func (j *Journal) object(namespace, statefulSet string) (*corev1.ConfigMap, error) {
	data, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("encode the journal: %w", err)
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: cluster.JournalName(statefulSet), Namespace: namespace,
			Labels: map[string]string{
				cluster.LabelManagedBy:   cluster.ManagedBy,
				cluster.LabelStatefulSet: cluster.LabelValue(statefulSet),
			},
			Annotations: map[string]string{cluster.AnnotationStatefulSet: statefulSet},
		},
		Data: map[string]string{
			cluster.JournalKey:      string(data),
			cluster.JournalPhaseKey: string(j.Phase),
			cluster.JournalPointKey: j.RecoveryPoint,
		},
	}, nil
}

// create writes a new journal.
func (j *Journal) create(ctx context.Context, c *cluster.Client, op cluster.Operation) error {
	object, err := j.object(op.Namespace, op.StatefulSet)
	if err != nil {
		return err
	}
	if _, err := c.Kube.CoreV1().ConfigMaps(op.Namespace).Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("write the journal %s/%s: %w", op.Namespace, object.Name, err)
	}
	return nil
}

// write replaces the journal that is there.
func (j *Journal) write(ctx context.Context, c *cluster.Client, op cluster.Operation) error {
	object, err := j.object(op.Namespace, op.StatefulSet)
	if err != nil {
		return err
	}
	if _, err := c.Kube.CoreV1().ConfigMaps(op.Namespace).Update(ctx, object, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("write the journal %s/%s: %w", op.Namespace, object.Name, err)
	}
	return nil
}

// enter writes the journal with a new phase.
func (j *Journal) enter(ctx context.Context, c *cluster.Client, op cluster.Operation, phase Phase) error {
	j.Phase = phase
	return j.write(ctx, c, op)
}

// removeJournal ends the operation.
func removeJournal(ctx context.Context, c *cluster.Client, op cluster.Operation) error {
	name := cluster.JournalName(op.StatefulSet)
	err := c.Kube.CoreV1().ConfigMaps(op.Namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("remove the journal %s/%s: %w", op.Namespace, name, err)
	}
	return nil
}
