package displaced

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// List reads the volumes with the marks of displaced ones: those of a StatefulSet, those of a whole namespace
// if statefulSet is empty, those of the cluster if both are empty. They are sorted by StatefulSet and ordinal,
// then the newest first. The list includes volumes that are no longer set aside; State tells them apart.
func List(ctx context.Context, client *cluster.Client, namespace, statefulSet string) ([]Volume, error) {
	found, err := marked(ctx, client, namespace, statefulSet)
	if err != nil {
		return nil, err
	}
	byNamespace := map[string]map[string]*corev1.PersistentVolumeClaim{}
	volumes := make([]Volume, 0, len(found))
	for _, f := range found {
		claims, known := byNamespace[f.Namespace]
		if !known {
			if claims, err = claimsOf(ctx, client, f.Namespace); err != nil {
				return nil, err
			}
			byNamespace[f.Namespace] = claims
		}
		if claim := claims[f.Claim]; claim != nil {
			f.Now, f.claimed = claim.Spec.VolumeName, claim.CreationTimestamp.Time
			f.State = stateOf(f.pv, claim)
		}
		volumes = append(volumes, f.Volume)
	}
	return volumes, nil
}

// candidate is a Volume with the PersistentVolume from which it was read.
type candidate struct {
	Volume
	pv *corev1.PersistentVolume
}

// marked reads the PersistentVolumes by their labels, in one request for however many StatefulSets.
func marked(ctx context.Context, client *cluster.Client, namespace, statefulSet string) ([]candidate, error) {
	selector := cluster.LabelManagedBy + "=" + cluster.ManagedBy + "," + cluster.LabelDisplacedFrom
	if statefulSet != "" {
		selector += "," + cluster.LabelStatefulSet + "=" + cluster.LabelValue(statefulSet)
	}
	list, err := client.Kube.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("list the volumes that were set aside: %w", err)
	}
	var found []candidate
	for i := range list.Items {
		v, ours := read(&list.Items[i])
		if ours && (namespace == "" || v.Namespace == namespace) && (statefulSet == "" || v.StatefulSet == statefulSet) {
			found = append(found, candidate{v, &list.Items[i]})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int { return order(&a.Volume, &b.Volume) })
	return found, nil
}

func order(a, b *Volume) int {
	return cmp.Or(
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.StatefulSet, b.StatefulSet),
		b.At.Compare(a.At), cmp.Compare(b.By, a.By),
		cmp.Compare(a.Ordinal, b.Ordinal), cmp.Compare(a.Claim, b.Claim), cmp.Compare(a.Name, b.Name),
	)
}

// claimsOf reads the claims of a namespace, by name. A namespace that is gone has none.
func claimsOf(ctx context.Context, client *cluster.Client, namespace string) (map[string]*corev1.PersistentVolumeClaim, error) {
	list, err := client.Claims(ctx, namespace)
	if err != nil {
		return nil, err
	}
	claims := map[string]*corev1.PersistentVolumeClaim{}
	for i := range list {
		claims[list[i].Name] = &list[i]
	}
	return claims, nil
}

// Set holds the volumes that one operation set aside from a StatefulSet for one reason, and that are still set aside.
type Set struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	// Operation is who set them aside, At when the last of them was set aside.
	Operation string    `json:"operation"`
	At        time.Time `json:"at,omitzero"`
	Why       Why       `json:"why"`
	Volumes   []Volume  `json:"volumes"`
	// Bytes is their total size.
	Bytes int64 `json:"bytes"`
}

// Sets groups volumes by StatefulSet, and each StatefulSet's volumes by operation and reason, the newest first.
// It leaves out volumes that are no longer set aside.
func Sets(volumes []Volume) []Set {
	type key struct {
		namespace, statefulSet, operation string
		why                               Why
	}
	index := map[key]int{}
	var sets []Set
	for _, v := range volumes {
		if v.State != StateAside {
			continue
		}
		k := key{v.Namespace, v.StatefulSet, v.By, v.Why}
		i, known := index[k]
		if !known {
			i = len(sets)
			index[k] = i
			sets = append(sets, Set{Namespace: v.Namespace, StatefulSet: v.StatefulSet, Operation: v.By, Why: v.Why})
		}
		s := &sets[i]
		s.Volumes = append(s.Volumes, v)
		s.Bytes += v.Size
		if v.At.After(s.At) {
			s.At = v.At
		}
	}
	slices.SortStableFunc(sets, func(a, b Set) int {
		return cmp.Or(
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.StatefulSet, b.StatefulSet),
			b.At.Compare(a.At), cmp.Compare(b.Operation, a.Operation), cmp.Compare(a.Why, b.Why),
		)
	})
	return sets
}

// Tally summarizes what is set aside from one StatefulSet.
type Tally struct {
	Namespace, StatefulSet string
	Volumes                int
	Bytes                  int64
	// Ages are the times at which each operation had set aside its last volume, the oldest first. They leave out
	// an operation whose time is not known.
	Ages []time.Time
}

// Count tallies what is set aside in a namespace, or in all namespaces if namespace is empty, with one request.
// It relies on what Kubernetes says about the volumes, and reads no claims: a volume counts once it is Released.
func Count(ctx context.Context, client *cluster.Client, namespace string) ([]Tally, error) {
	found, err := marked(ctx, client, namespace, "")
	if err != nil {
		return nil, err
	}
	var tallies []Tally
	var of []Volume // the volumes of the last tally
	for _, f := range found {
		if f.State != StateAside || f.Phase != corev1.VolumeReleased {
			continue
		}
		if last := len(tallies) - 1; last < 0 || tallies[last].Namespace != f.Namespace || tallies[last].StatefulSet != f.StatefulSet {
			tallies, of = append(tallies, Tally{Namespace: f.Namespace, StatefulSet: f.StatefulSet}), nil
		}
		of = append(of, f.Volume)
		t := &tallies[len(tallies)-1]
		t.Volumes++
		t.Bytes += f.Size
		t.Ages = slices.SortedFunc(maps.Values(ages(of)), time.Time.Compare)
	}
	return tallies, nil
}

// ages says when each operation had set aside the last of the volumes, or when Kubernetes saw that, if that is
// later. It leaves out an operation with a volume whose time is not known: nobody can say how old it is.
func ages(volumes []Volume) map[string]time.Time {
	at, unknown := map[string]time.Time{}, map[string]bool{}
	for _, v := range volumes {
		unknown[v.By] = unknown[v.By] || v.At.IsZero()
		since := v.At // by the clock of the machine that ran the restore, which may be wrong
		if v.released.After(since) {
			since = v.released.UTC()
		}
		if since.After(at[v.By]) {
			at[v.By] = since
		}
	}
	maps.DeleteFunc(at, func(operation string, _ time.Time) bool { return unknown[operation] })
	return at
}
