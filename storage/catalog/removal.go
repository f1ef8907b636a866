package catalog

import (
	"slices"
	"time"
)

// Removal says what it means to forget some recovery points.
type Removal struct {
	// Complete is how many of them are complete, and Left is how many complete ones stay.
	Complete, Left int
	// Newest are the ids of those among them that are a newest complete recovery point: the one that a restore takes by
	// default, and, if that one's time is in the future, the newest of the others.
	Newest []RecoveryPointID
}

// RemovalOf judges the removal of the recovery points with these ids from those that Points returned.
func RemovalOf(points []Point, ids []RecoveryPointID, now time.Time) Removal {
	var removal Removal
	var newest []RecoveryPointID
	come := false
	for _, point := range slices.Backward(points) {
		if point.State != StateComplete {
			continue
		}
		if !come {
			newest = append(newest, point.ID)
			come = !point.Started.After(now)
		}
		if slices.Contains(ids, point.ID) {
			removal.Complete++
		} else {
			removal.Left++
		}
	}
	if len(newest) > 2 { // those between the two count no more than any other
		newest = []RecoveryPointID{newest[0], newest[len(newest)-1]}
	}
	for _, id := range newest {
		if slices.Contains(ids, id) {
			removal.Newest = append(removal.Newest, id)
		}
	}
	return removal
}
