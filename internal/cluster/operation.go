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

	// A label value has at most 63 bytes, but names of claims and StatefulSets can be longer: annotations hold the whole names.
	AnnotationStatefulSet = "stsbackup.io/statefulset-name"
	AnnotationClaim       = "stsbackup.io/claim-name"

	// AnnotationBrief is on the Lease of a holder that will give it back soon.
	AnnotationBrief = "stsbackup.io/brief"
)

// namePrefix starts the name of every object that an operation makes for itself.
const namePrefix = "stsbackup-"

// maxName is the longest name that we give to an object: a Job's name becomes a label value of its pod.
const maxName = validation.DNS1123LabelMaxLength

// Operation is one run of backup or restore on one StatefulSet.
type Operation struct {
	// ID is unique in time and space, and sorts by time.
	ID string
	// Kind is the verb: "backup", "restore", "forget", "prune".
	Kind string
	// Namespace and StatefulSet name the StatefulSet that the operation works on.
	Namespace, StatefulSet string
}

// String names the operation in messages.
func (o Operation) String() string { return o.Kind + " " + o.ID }

// Object is the StatefulSet in messages: "StatefulSet demo/web".
func (o Operation) Object() string { return o.Key().Object() }

// Key is the StatefulSet that the operation works on.
func (o Operation) Key() Key { return Key{o.Namespace, o.StatefulSet} }

// Claim is the key of a claim in the StatefulSet's namespace.
func (o Operation) Claim(name string) ClaimKey { return ClaimKey{o.Namespace, name} }

// Name is the name of an object that the operation makes. parts tell the operation's objects apart. The name
// also differs from that of an operation on another StatefulSet of the namespace that drew the same id. It is a
// DNS label of at most 63 bytes: a longer name is cut, and ends with a hash of the whole.
func (o Operation) Name(parts ...string) string {
	return objectName(append([]string{o.ID, o.tag()}, parts...))
}

// earlierName is what Name returned before it contained the StatefulSet: objects of dead operations may still have it.
func (o Operation) earlierName(parts ...string) string {
	return objectName(append([]string{o.ID}, parts...))
}

func objectName(parts []string) string {
	return shortName(namePrefix + strings.ToLower(strings.Join(parts, "-")))
}

// tag stands for the StatefulSet in names, which have no room for its whole name.
func (o Operation) tag() string {
	sum := sha256.Sum256([]byte(o.Namespace + "/" + o.StatefulSet))
	return hex.EncodeToString(sum[:3])
}

// VolumeName is Name for the objects of one claim of one ordinal.
func (o Operation) VolumeName(ordinal int32, template string) string {
	return o.Name(strconv.Itoa(int(ordinal)), template)
}

// A lock on a repository tells its holder's operation; that text begins with one of these.
const (
	// moverMark says that the holder is a mover.
	moverMark = "mover:"
	// leaseMark says that the holder keeps the lock only while it has the Lease of the StatefulSet.
	leaseMark = "lease:"
)

// MoverMark is the text that the operation's movers in the cluster with this UID put into their locks on the
// repository. It contains the UID because no other cluster knows whether such a pod is gone.
func (o Operation) MoverMark(cluster string) string {
	return moverMark + cluster + ":" + o.ID + ":" + o.Namespace + "/" + o.StatefulSet
}

// MarkedMover is what a mover's lock on a repository says about the mover.
type MarkedMover struct {
	// Cluster is the UID of the cluster that has, or had, the mover's pod.
	Cluster string
	// Namespace is the pod's. StatefulSet is what the mover worked on. Whoever has that StatefulSet's Lease knows that only
	// its own movers work on it. A restore under another name reads the repository of a StatefulSet other than this one.
	Namespace, StatefulSet string
}

// ParseMoverMark reads a MoverMark. It returns false if the lock's operation and pod are not those of a mover.
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

// LeaseMark is the text that an operation puts into its lock on the repository if it has the StatefulSet's Lease in the cluster with this
// UID. The operation gives the lock up together with the Lease, so the next holder of the Lease knows that nobody holds such a lock.
func (o Operation) LeaseMark(cluster string) string { return leaseMark + cluster + ":" + o.ID }

// LeaseMarked reports whether the operation named in a lock holds it only with a Lease of the cluster with this UID.
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

// VolumeLabels are Labels plus the ordinal and the claim that an object stands for.
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

// LabelValue is value itself if it is a valid label value, else a valid one made of value's beginning and its hash.
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

// shorten keeps the valid part of text's beginning and adds 10 hex digits of the hash of the whole text, so
// that different texts stay different.
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
