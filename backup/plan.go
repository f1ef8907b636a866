package backup

import (
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Plan says what a backup will do.
type Plan struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	// Cluster is the cluster's UID.
	Cluster string `json:"cluster"`
	// Volumes are in the order in which they are captured and moved.
	Volumes []Volume `json:"volumes"`
	// LeftOut is what belongs to the StatefulSet but will not be in the backup.
	LeftOut []catalog.LeftOut `json:"leftOut,omitempty"`
	// Refusals say what prevents the backup. With any refusal, nothing is done.
	Refusals []*cluster.Refusal `json:"refusals,omitempty"`
}

// Err is the plan's refusals as one error; nil if there are none.
func (p *Plan) Err() error {
	var all []error
	for _, refusal := range p.Refusals {
		all = append(all, refusal)
	}
	return errors.Join(all...)
}

// Volume is one ordinal's claim in a Plan.
type Volume struct {
	Ordinal  int32  `json:"ordinal"`
	Template string `json:"template"`
	Claim    string `json:"claim"`
	// Missing says why there is nothing to save; then the fields below are empty.
	Missing string `json:"missing,omitempty"`
	// Denied says which object of this volume the API server would not create, and why: at present, the volume cannot be saved.
	Denied  string          `json:"denied,omitempty"`
	Capture catalog.Capture `json:"capture,omitempty"`
	// Why is the reason for this capture method.
	Why string `json:"why,omitempty"`
	// SnapshotClass is the VolumeSnapshotClass, for catalog.CaptureSnapshot.
	SnapshotClass string `json:"snapshotClass,omitempty"`
	// Driver is the CSI driver or the volume plugin.
	Driver string `json:"driver,omitempty"`
	// Node and Zone are where the ordinal's pod runs.
	Node string `json:"node,omitempty"`
	Zone string `json:"zone,omitempty"`
	// Size is the volume's capacity in bytes.
	Size int64 `json:"size,omitempty"`

	// source is the claim and its volume, choice how to capture it; both are empty if Missing is set.
	source capture.Volume
	choice capture.Choice
}

// NewPlan decides what a backup of the StatefulSet does. It depends on nothing but its arguments.
func NewPlan(inventory *Inventory, options capture.Options) *Plan {
	sts := inventory.StatefulSet
	plan := &Plan{Namespace: sts.Namespace, StatefulSet: sts.Name, Cluster: inventory.Cluster}
	switch {
	case len(sts.Spec.VolumeClaimTemplates) == 0:
		plan.Refusals = append(plan.Refusals, refuseNoTemplates(inventory))
		return plan
	case cluster.Replicas(sts) == 0:
		plan.Refusals = append(plan.Refusals, refuseNoReplicas(inventory))
		return plan
	}
	var present []capture.Volume
	for _, ordinal := range cluster.Ordinals(sts) {
		for _, template := range sts.Spec.VolumeClaimTemplates {
			volume := planVolume(inventory, ordinal, template.Name)
			if volume.Missing == "" {
				present = append(present, volume.source)
			}
			plan.Volumes = append(plan.Volumes, volume)
		}
	}
	choices, refusals := capture.Check(inventory.facts(), present, options)
	plan.Refusals = refusals
	if len(present) == 0 {
		first := plan.Volumes[0]
		plan.Refusals = append(plan.Refusals, &cluster.Refusal{
			Object: object(inventory),
			Reason: fmt.Sprintf("none of its claims has a volume (%s: %s)", first.Claim, first.Missing),
			Next:   "let its pods start once, so that there is something to back up",
		})
	}
	for i := range plan.Volumes {
		if v := &plan.Volumes[i]; v.Missing == "" {
			v.choice, choices = choices[0], choices[1:]
			v.Capture, v.Why, v.SnapshotClass = v.choice.Capture, v.choice.Why, v.choice.SnapshotClass
		}
	}
	plan.LeftOut = append(leftOutVolumes(sts), leftOutClaims(inventory)...)
	return plan
}

func object(inventory *Inventory) string {
	return cluster.KeyOf(inventory.StatefulSet).Object()
}

// planVolume describes one ordinal's claim.
func planVolume(inventory *Inventory, ordinal int32, template string) Volume {
	sts := inventory.StatefulSet
	volume := Volume{Ordinal: ordinal, Template: template, Claim: cluster.ClaimName(template, sts.Name, ordinal)}
	claim := inventory.Claims[volume.Claim]
	pod := inventory.Pods[cluster.PodName(sts.Name, ordinal)]
	switch {
	case claim == nil:
		volume.Missing = "the claim does not exist"
		return volume
	case claim.Spec.VolumeName == "":
		volume.Missing = "the claim is not bound: it has no volume yet"
		return volume
	case inventory.Volumes[claim.Spec.VolumeName] == nil:
		volume.Missing = "the claim's volume " + claim.Spec.VolumeName + " does not exist any more"
		return volume
	}
	pv := inventory.Volumes[claim.Spec.VolumeName]
	volume.source = capture.Volume{Ordinal: ordinal, Template: template, Claim: claim, Volume: pv, Pod: pod}
	volume.Driver, _ = cluster.VolumeDriver(pv)
	volume.Size = pv.Spec.Capacity.Storage().Value()
	volume.Zone = pv.Labels[corev1.LabelTopologyZone]
	if pod != nil {
		volume.Node = pod.Spec.NodeName
		if zone := inventory.Nodes[volume.Node].Zone; zone != "" {
			volume.Zone = zone
		}
	}
	return volume
}

func refuseNoTemplates(inventory *Inventory) *cluster.Refusal {
	where := "in their containers"
	if others := leftOutVolumes(inventory.StatefulSet); len(others) > 0 {
		names := make([]string, 0, len(others))
		for _, other := range others {
			names = append(names, other.What)
		}
		where += ", or in " + strings.Join(names, ", ")
	}
	return &cluster.Refusal{
		Object: object(inventory),
		Reason: "it has no volumeClaimTemplates: its pods keep their data " + where +
			", and what is in a container dies with the pod. There is no claim to back up",
		Next: "dump the data with the application's own tool now, then re-create the StatefulSet with a " +
			"volumeClaimTemplate mounted where the application keeps its data",
	}
}

func refuseNoReplicas(inventory *Inventory) *cluster.Refusal {
	sts := inventory.StatefulSet
	next := fmt.Sprintf("scale it up first: kubectl -n %s scale statefulset %s --replicas=N", sts.Namespace, sts.Name)
	if orphans := leftOutClaims(inventory); len(orphans) > 0 {
		names := make([]string, 0, len(orphans))
		for _, orphan := range orphans {
			names = append(names, strings.TrimPrefix(orphan.What, "claim "))
		}
		next += " (there are " + strings.Join(names, ", ") + ")"
	}
	return &cluster.Refusal{
		Object: object(inventory),
		Reason: "it is scaled to 0 replicas, so it has no ordinals to back up",
		Next:   next,
	}
}

// Nothing says why a StatefulSet has nothing to back up, in which case NewPlan refuses it; "" if it has something.
func Nothing(sts *appsv1.StatefulSet) string {
	switch {
	case len(sts.Spec.VolumeClaimTemplates) == 0:
		return "it has no volumeClaimTemplates"
	case cluster.Replicas(sts) == 0:
		return "it is scaled to 0 replicas"
	default:
		return ""
	}
}
