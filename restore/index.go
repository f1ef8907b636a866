package restore

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// index makes a Situation easy to search: objects by name, and for each claim all that concerns it. A plan builds it once.
type index struct {
	Situation
	volumes map[string]*corev1.PersistentVolume
	classes map[string]*storagev1.StorageClass
	places  map[string]*place // by claim
	saved   map[slot]*catalog.Volume
	// own are the pods that the StatefulSet's controller made, foreign all other pods of the namespace.
	own     []corev1.Pod
	foreign []*corev1.Pod
	// running names the StatefulSet's pods that may write.
	running []string
}

// slot is the purpose of a claim: one template of one ordinal.
type slot struct {
	ordinal  int32
	template string
}

// place holds all that exists under the name of one claim, and all that we know about it.
type place struct {
	// claim is nil if there is none. volume is the volume that claim names; nil if it does not exist. bound says that the two
	// belong together.
	claim  *corev1.PersistentVolumeClaim
	volume *corev1.PersistentVolume
	bound  bool
	// entry is the interrupted operation's entry for the claim; nil if it has none. made says that this operation
	// made the claim. unproved says why we cannot prove that nobody has written to its volume; empty if we can.
	entry    *JournalVolume
	made     bool
	unproved string
	// debris says that the claim holds nobody's data.
	debris bool
	// users are pods that use the claim and do not end with the StatefulSet.
	users []*corev1.Pod
}

func newIndex(s Situation) *index {
	x := &index{
		Situation: s, volumes: map[string]*corev1.PersistentVolume{}, classes: map[string]*storagev1.StorageClass{},
		places: map[string]*place{}, saved: map[slot]*catalog.Volume{}, running: running(s.StatefulSet, s.Pods),
	}
	for i := range s.Volumes {
		x.volumes[s.Volumes[i].Name] = &s.Volumes[i]
	}
	for i := range s.Classes {
		x.classes[s.Classes[i].Name] = &s.Classes[i]
	}
	for i := range s.Record.Volumes {
		v := &s.Record.Volumes[i]
		if at := (slot{v.Ordinal, v.Template}); x.saved[at] == nil {
			x.saved[at] = v
		}
	}
	for i := range s.Claims {
		claim := &s.Claims[i]
		w := x.place(claim.Name)
		w.claim, w.volume = claim, x.volumes[claim.Spec.VolumeName]
		w.bound = cluster.BoundTo(w.volume, claim)
	}
	x.indexPods()
	x.indexJournal()
	return x
}

func (x *index) indexPods() {
	for i := range x.Pods {
		pod := &x.Pods[i]
		if metav1.IsControlledBy(pod, x.StatefulSet) {
			x.own = append(x.own, *pod)
			continue
		}
		x.foreign = append(x.foreign, pod)
		if pod.Labels[cluster.LabelManagedBy] == cluster.ManagedBy {
			continue
		}
		for _, volume := range pod.Spec.Volumes {
			if source := volume.PersistentVolumeClaim; source != nil {
				w := x.place(source.ClaimName)
				w.users = append(w.users, pod)
			}
		}
	}
}

func (x *index) indexJournal() {
	if x.Journal == nil {
		return
	}
	for i := range x.Journal.Volumes {
		v := &x.Journal.Volumes[i]
		w := x.place(v.Claim)
		w.entry = v
		if w.made = w.claim != nil && x.Journal.created(v, w.claim); w.made {
			w.unproved = x.Journal.unproved(v, x.StatefulSet, x.Pods, w.claim)
			w.debris = w.unproved == "" && (w.volume == nil || x.Journal.found(w.volume, w.claim) == "")
		}
	}
}

// place is the place of a claim's name; it may be empty.
func (x *index) place(claim string) *place {
	if x.places[claim] == nil {
		x.places[claim] = &place{}
	}
	return x.places[claim]
}

// heldForNobody reports whether a restore still holds the StatefulSet, although somebody has deleted the restore's journal.
func (x *index) heldForNobody() bool {
	return x.Journal == nil && cluster.Gated(&x.StatefulSet.Spec.Template.Spec)
}

// vanishes reports whether somebody has deleted the claim, and its volume would go with it.
func (w *place) vanishes() bool {
	return w.bound && w.claim.DeletionTimestamp != nil &&
		w.volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain
}

// present returns the claim's state, and what is needed to put it back.
func (w *place) present() (Present, *cluster.Displaced) {
	switch {
	case w.claim == nil:
		return Present{State: PresentMissing, Fate: "there is no claim"}, nil
	case w.claim.Spec.VolumeName == "":
		return Present{State: PresentUnbound, Fate: "the claim has no volume and is replaced"}, new(cluster.NewDisplaced(w.claim, nil))
	case !w.bound:
		fate := "its volume " + w.claim.Spec.VolumeName + " is lost; the claim is replaced"
		return Present{State: PresentLost, Fate: fate}, new(cluster.NewDisplaced(w.claim, nil))
	default:
		fate := "volume " + w.volume.Name + " is set aside and kept"
		return Present{State: PresentBound, Volume: w.volume.Name, Fate: fate}, new(cluster.NewDisplaced(w.claim, w.volume))
	}
}

// presentNow is present for a plan about an interrupted operation: it recognizes the claims that the operation made.
func (w *place) presentNow() Present {
	present, _ := w.present()
	if w.made {
		present.State, present.Volume = PresentMade, w.claim.Spec.VolumeName
		present.Fate = "made by the interrupted restore"
		present.going = w.claim.DeletionTimestamp != nil
	}
	return present
}
