package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Labels and annotations of what stsbackup makes.
const (
	LabelManagedBy   = "app.kubernetes.io/managed-by"
	ManagedBy        = "stsbackup" // value of LabelManagedBy
	LabelOperation   = "stsbackup.io/operation"
	LabelStatefulSet = "stsbackup.io/statefulset"
	LabelOrdinal     = "stsbackup.io/ordinal"
	LabelClaim       = "stsbackup.io/claim"
	LabelMover       = "stsbackup.io/mover"

	// Label values end at 63 bytes, names of claims and StatefulSets do not: the whole names are annotations.
	AnnotationStatefulSet = "stsbackup.io/statefulset-name"
	AnnotationClaim       = "stsbackup.io/claim-name"

	// AnnotationBrief is on the Lease of one who will give it back soon.
	AnnotationBrief = "stsbackup.io/brief"
)

// namePrefix starts the name of every object that an operation makes for itself.
const namePrefix = "stsbackup-"

// maxName is the longest name we give: a Job's name becomes a label value of its pod.
const maxName = validation.DNS1123LabelMaxLength

// Operation is one run of backup or restore on one StatefulSet.
type Operation struct {
	// ID is unique in time and space, and sorts by time.
	ID string
	// Kind is the verb: "backup", "restore", "forget", "prune".
	Kind string
	// Namespace and StatefulSet name what is operated on.
	Namespace, StatefulSet string
}

// String names the operation in messages.
func (o Operation) String() string { return o.Kind + " " + o.ID }

// Object is the StatefulSet in messages: "StatefulSet demo/web".
func (o Operation) Object() string { return o.Key().Object() }

// Key is the StatefulSet that the operation works on.
func (o Operation) Key() Key { return Key{o.Namespace, o.StatefulSet} }

// Claim is a claim beside it.
func (o Operation) Claim(name string) ClaimKey { return ClaimKey{o.Namespace, name} }

// Name is the name of an object that the operation makes, told apart from its others by parts, and from those of an
// operation on another StatefulSet of the namespace that has drawn the same id. It is a DNS label of at most 63 bytes: what
// does not fit is cut and replaced by a hash of the whole.
func (o Operation) Name(parts ...string) string {
	return objectName(append([]string{o.ID, o.tag()}, parts...))
}

// earlierName is what Name was before it said anything of the StatefulSet: objects of dead operations may still have it.
func (o Operation) earlierName(parts ...string) string {
	return objectName(append([]string{o.ID}, parts...))
}

func objectName(parts []string) string {
	return shortName(namePrefix + strings.ToLower(strings.Join(parts, "-")))
}

// tag stands for the StatefulSet in names, which have no room for the whole of it.
func (o Operation) tag() string {
	sum := sha256.Sum256([]byte(o.Namespace + "/" + o.StatefulSet))
	return hex.EncodeToString(sum[:3])
}

// VolumeName is Name for the objects of one claim of one ordinal.
func (o Operation) VolumeName(ordinal int32, template string) string {
	return o.Name(strconv.Itoa(int(ordinal)), template)
}

// What a lock on a repository says of its holder's operation begins with one of these.
const (
	// moverMark: the holder is a mover.
	moverMark = "mover:"
	// leaseMark: it is held only while its holder has the Lease of the StatefulSet.
	leaseMark = "lease:"
)

// MoverMark is what the operation's movers in the cluster with this UID say in their locks on the repository. No other
// cluster knows whether such a pod is gone.
func (o Operation) MoverMark(cluster string) string {
	return moverMark + cluster + ":" + o.ID + ":" + o.Namespace + "/" + o.StatefulSet
}

// MarkedMover is what a mover's lock on a repository says of the mover.
type MarkedMover struct {
	// Cluster is the UID of the cluster that has, or had, the mover's pod.
	Cluster string
	// Namespace is that of the pod. StatefulSet is what the mover worked on; whoever has the Lease of that knows that no mover
	// but its own works on it. A restore under another name reads the repository of another StatefulSet than this.
	Namespace, StatefulSet string
}

// ParseMoverMark reads a MoverMark; false if what a lock says of its operation and its pod is no mover's.
func ParseMoverMark(operation, pod string) (MarkedMover, bool) {
	mark, marked := strings.CutPrefix(operation, moverMark)
	parts := strings.Split(mark, ":")
	if !marked || len(parts) != 3 {
		return MarkedMover{}, false
	}
	namespace, statefulSet, _ := strings.Cut(parts[2], "/")
	m, id := MarkedMover{Cluster: parts[0], Namespace: namespace, StatefulSet: statefulSet}, parts[1]
	if m.Cluster == "" || id == "" || !strings.HasPrefix(pod, namePrefix+strings.ToLower(id)+"-") ||
		len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(statefulSet)) > 0 {
		return MarkedMover{}, false
	}
	return m, true
}

// LeaseMark is what an operation that has the StatefulSet's Lease in the cluster with this UID says in its lock on the
// repository, and gives up together with the Lease: so the next to have the Lease knows that nobody holds such a lock.
func (o Operation) LeaseMark(cluster string) string { return leaseMark + cluster + ":" + o.ID }

// LeaseMarked reports whether a lock says by its operation that it is held only with a Lease of the cluster with this UID.
func LeaseMarked(cluster, operation string) bool {
	return cluster != "" && strings.HasPrefix(operation, leaseMark+cluster+":")
}

// Labels are the labels of everything that the operation makes.
func (o Operation) Labels() map[string]string {
	return map[string]string{
		LabelManagedBy:   ManagedBy,
		LabelOperation:   LabelValue(o.ID),
		LabelStatefulSet: LabelValue(o.StatefulSet),
	}
}

// VolumeLabels are Labels, and the ordinal and claim that an object stands for.
func (o Operation) VolumeLabels(ordinal int32, claim string) map[string]string {
	labels := o.Labels()
	labels[LabelOrdinal] = strconv.Itoa(int(ordinal))
	labels[LabelClaim] = LabelValue(claim)
	return labels
}

// Annotations hold the whole names that Labels and VolumeLabels may have had to shorten; claim may be empty.
func (o Operation) Annotations(claim string) map[string]string {
	annotations := map[string]string{AnnotationStatefulSet: o.StatefulSet}
	if claim != "" {
		annotations[AnnotationClaim] = claim
	}
	return annotations
}

// LabelValue is value itself if it can be a label's value, else a valid one made of its beginning and its hash.
func LabelValue(value string) string {
	if len(validation.IsValidLabelValue(value)) == 0 {
		return value
	}
	return shorten(value, validation.LabelValueMaxLength)
}

// shortName makes a DNS label of name, which is in lower case.
func shortName(name string) string {
	if len(validation.IsDNS1123Label(name)) == 0 {
		return name
	}
	return shorten(name, maxName)
}

// shorten keeps what is valid of text's beginning, and adds 10 hex digits of the hash of the whole, which keep the
// results of different texts different.
func shorten(text string, limit int) string {
	sum := sha256.Sum256([]byte(text))
	suffix := "-" + hex.EncodeToString(sum[:5])
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, text)
	if len(clean) > limit-len(suffix) {
		clean = clean[:limit-len(suffix)]
	}
	return strings.Trim(clean, "-") + suffix
}
