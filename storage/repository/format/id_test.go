package format

import (
	"slices"
	"strings"
	"testing"
)

// An object's name is compared with an id letter by letter, so an id has only one spelling.
func TestID(t *testing.T) {
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, appendix B.1
	id := Hash([]byte("abc"))
	if id.String() != abc || id.Short() != abc[:8] {
		t.Errorf("%s, %s", id, id.Short())
	}
	if again, err := ParseID(abc); err != nil || again != id {
		t.Errorf("read as %s, %v", again, err)
	}
	for _, wrong := range []string{"", abc[:63], abc + "0", strings.ToUpper(abc), abc[:63] + "g", " " + abc[1:]} {
		if got, err := ParseID(wrong); err == nil {
			t.Errorf("%q was read as %s", wrong, got)
		}
	}
	sorted := []ID{{}, {1}, {1, 1}, {2}}
	mixed := []ID{sorted[2], sorted[3], sorted[0], sorted[1]}
	if slices.SortFunc(mixed, Compare); !slices.Equal(mixed, sorted) {
		t.Errorf("%v", mixed)
	}
}
