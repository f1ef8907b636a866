package main

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// pointsText explains what one may write after the @.
const pointsText = `Name a recovery point by its id, or by the beginning of its id; an incomplete one only in this way. "latest", or
nothing, means the latest complete one. A time means the last complete recovery point whose data is from then or earlier:
  2026-11-21T09:30:00Z          that moment
  2026-11-21, 2026-11-21T09:30  the end of that day or minute, in UTC unless it says otherwise
  today, yesterday              the end of that day
  3h, 90min, 2d                 this long ago`

// target is what a command line names as [NS/]STS[@RP].
type target struct {
	namespace   string
	statefulSet string
	// recoveryPoint is an id, a prefix, "latest" or a time; "" if the command line has none.
	recoveryPoint string
}

// name is the name of the StatefulSet.
func (t target) name() catalog.Name {
	return catalog.Name{Namespace: t.namespace, StatefulSet: t.statefulSet}
}

// targetsOf returns targets without recovery points.
func targetsOf(names []catalog.Name) []target {
	targets := make([]target, len(names))
	for i, name := range names {
		targets[i] = target{namespace: name.Namespace, statefulSet: name.StatefulSet}
	}
	return targets
}

func (t target) String() string {
	s := t.namespace + "/" + t.statefulSet
	if t.recoveryPoint != "" {
		s += "@" + t.recoveryPoint
	}
	return s
}

// parseTarget reads [NS/]STS[@RP]. If the argument has no namespace, namespace replaces it. If that is empty too, the
// result's namespace is empty and the caller asks the kubeconfig.
func parseTarget(arg, namespace string) (target, error) {
	name, point, hasPoint := strings.Cut(arg, "@")
	t := target{namespace: namespace, statefulSet: name, recoveryPoint: point}
	if ns, sts, ok := strings.Cut(name, "/"); ok {
		if namespace != "" && namespace != ns {
			return target{}, usageErrorf("%q names namespace %s, but --namespace says %s", arg, ns, namespace)
		}
		if ns == "" {
			return target{}, usageErrorf("%q has an empty namespace; write NAMESPACE/STATEFULSET", arg)
		}
		t.namespace, t.statefulSet = ns, sts
	}
	if t.statefulSet == "" || strings.Contains(t.statefulSet, "/") {
		return target{}, usageErrorf("%q is not [NAMESPACE/]STATEFULSET[@RECOVERY-POINT]", arg)
	}
	if hasPoint && point == "" {
		return target{}, usageErrorf("%q names no recovery point after the @; leave the @ out for the latest", arg)
	}
	return t, t.check()
}

// check rejects names that Kubernetes would not accept. The names also say where in the bucket the repository is.
func (t target) check() error {
	if faults := validation.IsDNS1123Label(t.namespace); t.namespace != "" && len(faults) > 0 {
		return usageErrorf("%q cannot be the name of a namespace: %s", t.namespace, faults[0])
	}
	if faults := validation.IsDNS1123Subdomain(t.statefulSet); len(faults) > 0 {
		return usageErrorf("%q cannot be the name of a StatefulSet: %s", t.statefulSet, faults[0])
	}
	return nil
}

// at is the target with a recovery point's time written as the catalog reads it.
func (t target) at(now time.Time) target {
	t.recoveryPoint = catalog.Ref(t.recoveryPoint, now)
	return t
}
