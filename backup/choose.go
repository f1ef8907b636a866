package backup

import (
	appsv1 "k8s.io/api/apps/v1"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// PassedOver is a StatefulSet that was chosen with others but is not backed up, and the reason.
type PassedOver struct {
	catalog.Name
	Why string
}

// Choose decides which of several StatefulSets to back up, if nobody has named them one by one. It passes over StatefulSets
// that have nothing to back up, or for which except gives a reason. If it passes over all of them, the caller has to complain.
func Choose(sets []*appsv1.StatefulSet, except func(*appsv1.StatefulSet) string) (chosen []catalog.Name, passed []PassedOver) {
	for _, set := range sets {
		name, why := catalog.Name{Namespace: set.Namespace, StatefulSet: set.Name}, except(set)
		if why == "" {
			why = Nothing(set)
		}
		if why != "" {
			passed = append(passed, PassedOver{name, why})
			continue
		}
		chosen = append(chosen, name)
	}
	return chosen, passed
}
