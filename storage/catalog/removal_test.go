package catalog_test

import (
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

func TestRemovalOf(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	point := func(id string, state catalog.State, hours int) catalog.Point {
		return catalog.Point{ID: catalog.RecoveryPointID(id), State: state, Started: noon.Add(time.Duration(hours) * time.Hour)}
	}
	for _, tt := range []struct {
		name           string
		points         string // one letter each, oldest first: c complete, i incomplete, u unrecorded, f complete and in the future
		ids            string // by their positions
		complete, left int
		newest         string
	}{
		{"an older one", "cc", "0", 1, 1, ""},
		{"the newest", "cc", "1", 1, 1, "1"},
		{"the newest complete one, though not the newest", "ccii", "1", 1, 1, "1"},
		{"the last", "ci", "0", 1, 0, "0"},
		{"all", "ccc", "012", 3, 0, "2"},
		{"what is not complete", "ciu", "12", 0, 1, ""},
		{"of a time to come: a restore would take it", "ccf", "2", 1, 2, "2"},
		{"the newest whose time has come", "ccf", "1", 1, 2, "1"},
		{"between the two", "cff", "1", 1, 2, ""},
		{"only of times to come", "ff", "0", 1, 1, "0"},
		{"nothing there", "", "0", 0, 0, ""},
	} {
		var points []catalog.Point
		for i, kind := range tt.points {
			id := string(rune('0' + i))
			switch kind {
			case 'c':
				points = append(points, point(id, catalog.StateComplete, i-20))
			case 'i':
				points = append(points, point(id, catalog.StateIncomplete, i-20))
			case 'u':
				points = append(points, point(id, catalog.StateUnrecorded, i-20))
			case 'f':
				points = append(points, point(id, catalog.StateComplete, i+20))
			}
		}
		var ids []catalog.RecoveryPointID
		for _, id := range tt.ids {
			ids = append(ids, catalog.RecoveryPointID(id))
		}
		got := catalog.RemovalOf(points, ids, noon)
		if got.Complete != tt.complete || got.Left != tt.left || catalog.JoinIDs(got.Newest) != tt.newest {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}
