package displaced

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// CheckNamed fails if a StatefulSet that somebody has named does not exist and has no volumes set aside either:
// whoever has mistyped a name must not believe that there are none. volumes are what List found for that StatefulSet.
func CheckNamed(ctx context.Context, client *cluster.Client, namespace, statefulSet string, volumes []Volume) error {
	if len(volumes) > 0 {
		return nil
	}
	if _, err := client.StatefulSet(ctx, namespace, statefulSet); err != nil {
		return fmt.Errorf("no volume of %s/%s is set aside: %w", namespace, statefulSet, err)
	}
	return nil
}

// Of returns the volumes of these ordinals that were set aside by an operation whose id begins with this text.
// No ordinals means all of them; an empty text means every operation.
func Of(volumes []Volume, ordinals []int32, operation string) []Volume {
	return slices.DeleteFunc(slices.Clone(volumes), func(v Volume) bool {
		return len(ordinals) > 0 && !slices.Contains(ordinals, v.Ordinal) || !strings.HasPrefix(v.By, operation)
	})
}

// Owner is a StatefulSet that has volumes set aside. It need not exist any more.
type Owner struct{ Namespace, StatefulSet string }

// Owners are the StatefulSets from which the volumes were set aside, each once, in the order of the volumes.
// Volumes that are no longer set aside, or belong to no StatefulSet, do not count.
func Owners(volumes []Volume) []Owner {
	var owners []Owner
	for _, v := range volumes {
		owner := Owner{v.Namespace, v.StatefulSet}
		if v.State == StateAside && v.StatefulSet != "" && !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
	}
	return owners
}

// Propose decides which volumes of a StatefulSet to free. A StatefulSet that somebody has named must exist, or have volumes set aside.
func Propose(ctx context.Context, client *cluster.Client, of Owner, request Request, named bool) (Plan, error) {
	situation, err := Look(ctx, client, of.Namespace, of.StatefulSet)
	if err != nil {
		return Plan{}, err
	}
	if named {
		if err := CheckNamed(ctx, client, of.Namespace, of.StatefulSet, situation.Volumes); err != nil {
			return Plan{}, err
		}
	}
	return NewPlan(situation, request), nil
}
