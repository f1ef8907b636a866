package backup

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Method says how volumes are to be captured.
type Method string

// The methods.
const (
	MethodAuto     Method = "auto"     // snapshot where the volume's driver can, else live
	MethodSnapshot Method = "snapshot" // one VolumeSnapshot per volume, or nothing
	MethodLive     Method = "live"     // the claim itself is read while its pod runs
)

// PlanOptions are the user's wishes.
type PlanOptions struct {
	Method Method
	// SnapshotClass is the VolumeSnapshotClass to use; empty for the driver's default.
	SnapshotClass string
}

// Plan says what a backup will do.
type Plan struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	// Cluster is the cluster's UID.
	Cluster string `json:"cluster"`
	// Volumes are in the order in which they are captured and moved.
	Volumes []Volume `json:"volumes"`
	// LeftOut is what belongs to the StatefulSet and will not be in the backup.
	LeftOut []catalog.LeftOut `json:"leftOut,omitempty"`
}

// Volume is one ordinal's claim in a Plan.
type Volume struct {
	Ordinal  int32  `json:"ordinal"`
	Template string `json:"template"`
	Claim    string `json:"claim"`
	// Missing says why there is nothing to save; then the fields below are empty.
	Missing string `json:"missing,omitempty"`
	// Denied says what of this volume's the API server would not create, and why: it cannot be saved as things are.
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

	object    *corev1.PersistentVolumeClaim
	placement cluster.Placement
}

// NewPlan decides what a backup of the StatefulSet does. It depends on nothing but its arguments. A *cluster.Refusal
// says that it cannot be done like that.
func NewPlan(inventory *Inventory, options PlanOptions) (*Plan, error) {
	sts := inventory.StatefulSet
	plan := &Plan{Namespace: sts.Namespace, StatefulSet: sts.Name, Cluster: inventory.Cluster}
	if len(sts.Spec.VolumeClaimTemplates) == 0 {
		return nil, refuseNoTemplates(inventory)
	}
	if cluster.Replicas(sts) == 0 {
		return nil, refuseNoReplicas(inventory)
	}
	if err := checkSnapshotClass(inventory, options); err != nil {
		return nil, err
	}
	present := 0
	for _, ordinal := range cluster.Ordinals(sts) {
		for _, template := range sts.Spec.VolumeClaimTemplates {
			volume, err := planVolume(inventory, options, ordinal, template.Name)
			if err != nil {
				return nil, err
			}
			if volume.Missing == "" {
				present++
			}
			plan.Volumes = append(plan.Volumes, volume)
		}
	}
	if present == 0 {
		first := plan.Volumes[0]
		return nil, &cluster.Refusal{
			Object: object(inventory),
			Reason: fmt.Sprintf("none of its claims has a volume (%s: %s)", first.Claim, first.Missing),
			Next:   "let its pods start once, so that there is something to back up",
		}
	}
	plan.LeftOut = append(leftOutVolumes(sts), leftOutClaims(inventory)...)
	return plan, nil
}

func object(inventory *Inventory) string {
	return cluster.KeyOf(inventory.StatefulSet).Object()
}

// planVolume decides about one ordinal's claim.
func planVolume(inventory *Inventory, options PlanOptions, ordinal int32, template string) (Volume, error) {
	sts := inventory.StatefulSet
	volume := Volume{Ordinal: ordinal, Template: template, Claim: cluster.ClaimName(template, sts.Name, ordinal)}
	claim := inventory.Claims[volume.Claim]
	pod := inventory.Pods[cluster.PodName(sts.Name, ordinal)]
	switch {
	case claim == nil:
		volume.Missing = "the claim does not exist"
		return volume, nil
	case claim.Spec.VolumeName == "":
		volume.Missing = "the claim is not bound: it has no volume yet"
		return volume, nil
	case inventory.Volumes[claim.Spec.VolumeName] == nil:
		volume.Missing = "the claim's volume " + claim.Spec.VolumeName + " does not exist any more"
		return volume, nil
	}
	pv := inventory.Volumes[claim.Spec.VolumeName]
	volume.object = claim
	volume.Driver, _ = cluster.VolumeDriver(pv)
	volume.Size = pv.Spec.Capacity.Storage().Value()
	volume.Zone = pv.Labels[corev1.LabelTopologyZone]
	if pod != nil {
		volume.Node = pod.Spec.NodeName
		if zone := inventory.Nodes[volume.Node].Zone; zone != "" {
			volume.Zone = zone
		}
	}
	if cluster.IsBlock(claim.Spec.VolumeMode) {
		return volume, &cluster.Refusal{
			Object: "claim " + claim.Namespace + "/" + claim.Name,
			Reason: "it is a raw block device (volumeMode Block), which this version cannot back up yet",
			Next:   "back it up with the application's own tool until it can",
		}
	}
	if err := chooseCapture(&volume, inventory, pv, options); err != nil {
		return volume, err
	}
	if volume.Capture == catalog.CaptureLive {
		return volume, placeLive(&volume, inventory, pv, options)
	}
	placeSnapshot(&volume, inventory, pv)
	return volume, nil
}

// chooseCapture decides how a volume is captured.
func chooseCapture(volume *Volume, inventory *Inventory, pv *corev1.PersistentVolume, options PlanOptions) error {
	if options.Method == MethodLive {
		volume.Capture, volume.Why = catalog.CaptureLive, "asked for with --method live"
		return nil
	}
	driver, csi := cluster.VolumeDriver(pv)
	if !csi {
		if options.Method == MethodSnapshot {
			return &cluster.Refusal{
				Object: "claim " + volume.object.Namespace + "/" + volume.Claim,
				Reason: fmt.Sprintf("its volume is of %s, which has no VolumeSnapshots", driver),
				Next:   "use --method live, or --method auto to decide for each volume",
			}
		}
		volume.Capture, volume.Why = catalog.CaptureLive, driver+" has no VolumeSnapshots"
		return nil
	}
	if unfit := noClaim(inventory, volume.object, driver); unfit != "" {
		if options.Method == MethodSnapshot {
			return &cluster.Refusal{
				Object: "claim " + volume.object.Namespace + "/" + volume.Claim, Reason: unfit,
				Next: fmt.Sprintf("create that StorageClass, with driver %s as its provisioner, or use --method live", driver),
			}
		}
		volume.Capture, volume.Why = catalog.CaptureLive, unfit
		return nil
	}
	if inventory.ClassesHidden {
		return chooseHidden(volume, options)
	}
	return chooseClass(volume, inventory, driver, options)
}

// noClaim says why a VolumeSnapshot of a claim's volume could be cut and not read; "" if it can, or if nobody knows.
func noClaim(inventory *Inventory, claim *corev1.PersistentVolumeClaim, driver string) string {
	if inventory.StorageClassesHidden {
		return ""
	}
	return cluster.NoClaimFromSnapshot(inventory.StorageClasses, claim.Spec.StorageClassName, driver)
}

// chooseClass finds the VolumeSnapshotClass for a volume of a driver, or captures it live where there is none.
func chooseClass(volume *Volume, inventory *Inventory, driver string, options PlanOptions) error {
	class, err := cluster.ChooseVolumeSnapshotClass(inventory.Classes, driver, options.SnapshotClass)
	if err != nil && options.Method == MethodAuto && options.SnapshotClass != "" {
		// A class of the user's choice is for the volumes that it fits.
		class, err = cluster.ChooseVolumeSnapshotClass(inventory.Classes, driver, "")
	}
	switch {
	case err == nil:
		volume.Capture, volume.SnapshotClass = catalog.CaptureSnapshot, class.Name
		volume.Why = fmt.Sprintf("CSI driver %s has VolumeSnapshotClass %s", driver, class.Name)
		return nil
	case options.Method == MethodSnapshot:
		return &cluster.Refusal{
			Object: "claim " + volume.object.Namespace + "/" + volume.Claim,
			Reason: err.Error(),
			Next:   fmt.Sprintf("create a VolumeSnapshotClass for driver %s, or use --method live", driver),
		}
	default:
		volume.Capture, volume.Why = catalog.CaptureLive, err.Error()
		return nil
	}
}

// chooseHidden is chooseCapture without the right to read VolumeSnapshotClasses: the user's word is taken for one.
func chooseHidden(volume *Volume, options PlanOptions) error {
	const why = "the right to list VolumeSnapshotClasses is missing"
	switch {
	case options.SnapshotClass != "":
		volume.Capture, volume.SnapshotClass = catalog.CaptureSnapshot, options.SnapshotClass
		volume.Why = "asked for with --snapshot-class; " + why
	case options.Method == MethodSnapshot:
		return &cluster.Refusal{
			Object: "claim " + volume.object.Namespace + "/" + volume.Claim,
			Reason: why + ", so no class can be chosen for its VolumeSnapshot",
			Next:   "name the class with --snapshot-class, or see docs/rbac.md for that right",
		}
	default:
		volume.Capture, volume.Why = catalog.CaptureLive, why
	}
	return nil
}

// checkSnapshotClass refuses a class of the user's choice that does not exist.
func checkSnapshotClass(inventory *Inventory, options PlanOptions) error {
	if options.SnapshotClass == "" || options.Method == MethodLive || inventory.ClassesHidden {
		return nil
	}
	names := make([]string, 0, len(inventory.Classes))
	for _, class := range inventory.Classes {
		if class.Name == options.SnapshotClass {
			return nil
		}
		names = append(names, class.Name)
	}
	next := "leave --snapshot-class out, or create the class"
	if len(names) > 0 {
		slices.Sort(names)
		next = "use one of " + strings.Join(names, ", ")
	}
	return &cluster.Refusal{
		Object: object(inventory),
		Reason: "the cluster has no VolumeSnapshotClass called " + options.SnapshotClass,
		Next:   next,
	}
}

func refuseNoTemplates(inventory *Inventory) error {
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

func refuseNoReplicas(inventory *Inventory) error {
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

// Nothing says why a StatefulSet has nothing that could be backed up; "" if it has something. NewPlan refuses it then.
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
