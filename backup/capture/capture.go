package capture

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Options are the user's wishes.
type Options struct {
	// Method defaults to method.Auto.
	Method method.Method
	// SnapshotClass is the VolumeSnapshotClass to use; empty for the driver's default.
	SnapshotClass string
}

// Facts are what the Ways know about the cluster.
type Facts struct {
	StatefulSet *appsv1.StatefulSet
	// Classes are all VolumeSnapshotClasses of the cluster; ClassesHidden says that we may not read them.
	Classes       []snapshotv1.VolumeSnapshotClass
	ClassesHidden bool
	// StorageClasses are those of the cluster; StorageClassesHidden says that we may not read them.
	StorageClasses       []storagev1.StorageClass
	StorageClassesHidden bool
	// Nodes are the nodes on which the pods run, by name, if we may read nodes.
	Nodes map[string]Node
}

// Node is what we know about a node.
type Node struct {
	// Zone and Host are the values of its labels; they may be empty.
	Zone, Host string
	Taints     []corev1.Taint
}

// Volume is one ordinal's claim that has a volume.
type Volume struct {
	Ordinal  int32
	Template string
	Claim    *corev1.PersistentVolumeClaim
	Volume   *corev1.PersistentVolume
	// Pod is the ordinal's pod; nil if it does not exist.
	Pod *corev1.Pod
}

// Choice says how to capture one volume.
type Choice struct {
	Capture catalog.Capture
	// Why is the reason for this choice.
	Why string
	// SnapshotClass is the VolumeSnapshotClass, if there is one.
	SnapshotClass string
	// Placement is where a mover can read what was captured.
	Placement cluster.Placement
}

// Verdict is what a Way says about a volume: how it would capture the volume, or why it cannot.
type Verdict struct {
	// Choice is nil if the Way cannot capture the volume.
	Choice *Choice
	// Reason says why the Way cannot capture the volume, and Next what a user who asked for this Way can do about it.
	Reason, Next string
}

// Way is one way to capture volumes. Its methods get all volumes that it captures at once, or one of these
// volumes when its turn has come.
type Way interface {
	// Capture is the Way's name in the record.
	Capture() catalog.Capture
	// Check gives a verdict on each of the volumes. It depends on nothing but its arguments.
	Check(facts *Facts, volumes []Volume, options Options) []Verdict
	// Makes returns the source that a mover of the volume will have, and the objects to create for it: only for a dry run.
	Makes(op cluster.Operation, volume *Volume, choice *Choice) (source Source, made []cluster.Candidate)
	// Cut fixes the state of the volumes, in their order, and says of each how far it is. If Cut fails for a
	// volume, it sets the volume's Err, and goes on with the others. The error says that the operation has ended.
	Cut(ctx context.Context, c *Capturer, volumes []*Captured, tell Tell) error
	// Source returns the source from which a mover reads the volume.
	Source(ctx context.Context, c *Capturer, v *Captured) (Source, error)
	// Release frees what the capture of the volume holds. It reports what it cannot free.
	Release(ctx context.Context, c *Capturer, v *Captured)
}

// Source is what a mover reads a volume from.
type Source struct {
	// Claim is the name of the claim that the mover mounts, in the StatefulSet's namespace.
	Claim string
}

// Tell is told of a volume's stage: captured (report.StageCapture), ready for its turn (report.StageWait), or failed.
type Tell func(v *Captured, stage report.Stage)

// Ways are all Ways, the best first.
func Ways() []Way { return []Way{snapshot{}, live{}} }

// wayOf is the Way that has captured a volume.
func wayOf(capture catalog.Capture) (Way, error) {
	for _, way := range Ways() {
		if way.Capture() == capture {
			return way, nil
		}
	}
	return nil, fmt.Errorf("there is no way to capture volumes that is called %q", capture)
}

// Check decides how to capture each of the volumes. It depends on nothing but its arguments. The choices are in the order
// of the volumes; each refusal is about one volume, or about the user's wishes. With any refusal, the choices mean nothing.
func Check(facts *Facts, volumes []Volume, options Options) ([]Choice, []*cluster.Refusal) {
	options.Method = cmp.Or(options.Method, method.Auto)
	var refusals []*cluster.Refusal
	if refusal := checkClass(facts, options); refusal != nil {
		refusals = append(refusals, refusal)
		options.SnapshotClass = "" // one refusal is enough, not one for each volume
	}
	var ways []Way
	var verdicts [][]Verdict
	for _, way := range Ways() {
		if options.Method == method.Auto || options.Method == method.Method(way.Capture()) {
			ways = append(ways, way)
			verdicts = append(verdicts, way.Check(facts, volumes, options))
		}
	}
	choices := make([]Choice, len(volumes))
	for i := range volumes {
		if cluster.IsBlock(volumes[i].Claim.Spec.VolumeMode) {
			refusals = append(refusals, &cluster.Refusal{
				Object: volumes[i].object(),
				Reason: "it is a raw block device (volumeMode Block), which this version cannot back up yet",
				Next:   "back it up with the application's own tool until it can",
			})
			continue
		}
		of := make([]Verdict, len(ways))
		for n := range ways {
			of[n] = verdicts[n][i]
		}
		choice, refusal := choose(&volumes[i], of)
		if refusal != nil {
			refusals = append(refusals, refusal)
			continue
		}
		choices[i] = *choice
	}
	return choices, refusals
}

// choose takes the first Way that can capture a volume. Its reason is that better ones cannot.
func choose(volume *Volume, verdicts []Verdict) (*Choice, *cluster.Refusal) {
	because := ""
	for _, verdict := range verdicts {
		if verdict.Choice != nil {
			choice := *verdict.Choice
			choice.Why = cmp.Or(because, choice.Why)
			return &choice, nil
		}
		if because != "" {
			return nil, &cluster.Refusal{
				Object: volume.object(), Reason: verdict.Reason, Next: "mend what keeps it from being captured by a VolumeSnapshot: " + because,
			}
		}
		because = verdict.Reason
	}
	last := verdicts[len(verdicts)-1]
	return nil, &cluster.Refusal{Object: volume.object(), Reason: last.Reason, Next: last.Next}
}

// object names the claim in messages.
func (v *Volume) object() string { return "claim " + v.Claim.Namespace + "/" + v.Claim.Name }

// checkClass refuses if the user asks for a class that does not exist.
func checkClass(facts *Facts, options Options) *cluster.Refusal {
	if options.SnapshotClass == "" || options.Method == method.Live || facts.ClassesHidden {
		return nil
	}
	names := make([]string, 0, len(facts.Classes))
	for _, class := range facts.Classes {
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
		Object: "StatefulSet " + facts.StatefulSet.Namespace + "/" + facts.StatefulSet.Name,
		Reason: "the cluster has no VolumeSnapshotClass called " + options.SnapshotClass,
		Next:   next,
	}
}

// Makes returns the source that a mover of the volume will have, and the objects to create for it: only for a dry run.
func Makes(op cluster.Operation, volume *Volume, choice *Choice) (source Source, made []cluster.Candidate, err error) {
	way, err := wayOf(choice.Capture)
	if err != nil {
		return Source{}, nil, err
	}
	source, made = way.Makes(op, volume, choice)
	return source, made, nil
}
