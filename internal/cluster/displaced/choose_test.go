package displaced

import (
	"slices"
	"testing"
)

func TestOf(t *testing.T) {
	t.Parallel()
	all := []Volume{
		{Name: "a", Ordinal: 0, By: "20261121T08-a"}, {Name: "b", Ordinal: 1, By: "20261121T08-a"}, {Name: "c", Ordinal: 1, By: "20261122T08-b"},
	}
	for _, tt := range []struct {
		ordinals  []int32
		operation string
		want      string
	}{
		{nil, "", "abc"}, {[]int32{1}, "", "bc"}, {[]int32{1, 0}, "20261121", "ab"},
		{nil, "20261122T08-b", "c"}, {[]int32{7}, "", ""}, {nil, "x", ""},
	} {
		got := ""
		for _, v := range Of(all, tt.ordinals, tt.operation) {
			got += v.Name
		}
		if got != tt.want {
			t.Errorf("of ordinals %v and operation %q are %q, want %q", tt.ordinals, tt.operation, got, tt.want)
		}
	}
	if len(all) != 3 || all[2].Name != "c" {
		t.Errorf("the volumes were changed to %v", all)
	}
}

// Volumes that are bound again, or belong to no StatefulSet, make nobody an owner.
func TestOwners(t *testing.T) {
	t.Parallel()
	web, db := Owner{"demo", "web"}, Owner{"prod", "db"}
	got := Owners([]Volume{
		{Namespace: "demo", StatefulSet: "web", State: StateAside}, {Namespace: "demo", StatefulSet: "bound", State: StateBound},
		{Namespace: "demo", StatefulSet: "", State: StateAside}, {Namespace: "prod", StatefulSet: "db", State: StateAside},
		{Namespace: "demo", StatefulSet: "web", State: StateAside},
	})
	if want := []Owner{web, db}; !slices.Equal(got, want) {
		t.Errorf("the owners are %v, want %v", got, want)
	}
}
