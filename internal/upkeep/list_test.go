package upkeep

import (
	"errors"
	"testing"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// If one repository cannot be read, the recovery points of the others are still listed, and the error names that repository.
func TestRecords(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	records, err := Records([]Listing{
		{Records: []catalog.Record{{ID: "a"}, {ID: "b"}}},
		{Err: broken, Records: []catalog.Record{{ID: "c"}}},
		{Records: []catalog.Record{{ID: "d"}}},
	})
	if !errors.Is(err, broken) || len(records) != 4 || records[2].ID != "c" || records[3].ID != "d" {
		t.Errorf("the recovery points are %v, %v", records, err)
	}
	if records, err := Records(nil); err != nil || len(records) > 0 {
		t.Errorf("of nothing there are %v, %v", records, err)
	}
}
