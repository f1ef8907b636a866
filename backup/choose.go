package backup

import (
	appsv1 "k8s.io/api/apps/v1"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// PassedOver is a StatefulSet that is not backed up although it was chosen with others, and why.
type PassedOver struct {
	catalog.Name
	Why string
}

// Choose tells apart what is to be backed up of StatefulSets that nobody has named one by one. Those that have nothing to back
// up, and those that except gives a reason for, are passed over; where that is all of them, it is for the caller to complain.
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
