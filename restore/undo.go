package restore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// asideVolume is a volume that was set aside from one of the StatefulSet's claims.
type asideVolume struct {
	volume    *corev1.PersistentVolume
	displaced cluster.Displaced
	ordinal   int32
	template  string
	operation string
	at        time.Time
}

// newUndoPlan decides which of the volumes that were set aside come back. The volumes of one operation belong
// together: they are from one moment.
func newUndoPlan(s *index, options PlanOptions) Plan {
	options.Kind = KindUndo
	p := newPlan(s, options)
	p.SourceNamespace, p.SourceStatefulSet, p.SourceCluster, p.SameCluster = p.Namespace, p.StatefulSet, s.Cluster, true
	all := p.setAside()
	chosen := p.chooseAside(all, s.heldForNobody())
	for _, aside := range chosen {
		p.Volumes = append(p.Volumes, aside.plan(s))
	}
	if p.ReplicasAfter == 0 {
		for _, v := range p.Volumes {
			p.ReplicasAfter = max(p.ReplicasAfter, v.Ordinal-cluster.OrdinalsStart(s.StatefulSet)+1)
		}
	}
	p.checkOwners()
	p.checkClaims()
	p.warnUndo()
	p.Steps = p.undoSteps()
	return p
}

// setAside finds the volumes that were set aside from the StatefulSet's claims and can be bound to them again.
func (p *Plan) setAside() []asideVolume {
	var found []asideVolume
	for i := range p.situation.Volumes {
		volume := &p.situation.Volumes[i]
		namespace, claim, _ := strings.Cut(volume.Annotations[cluster.AnnotationDisplacedFrom], "/")
		reserved := volume.Spec.ClaimRef != nil && volume.Spec.ClaimRef.UID == "" // by an undo that was put back
		if volume.Labels[cluster.LabelDisplacedFrom] == "" || namespace != p.Namespace ||
			volume.Status.Phase != corev1.VolumeReleased && !reserved {
			continue
		}
		template, ordinal, ours := ordinalOf(p.situation.StatefulSet, claim)
		if !ours {
			continue
		}
		displaced, err := cluster.ParseDisplaced(volume, p.Namespace)
		if err != nil {
			p.warnf("%v; it cannot be brought back", err)
			continue
		}
		if volume.DeletionTimestamp != nil || volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			p.warnf("somebody is deleting volume %s, which was set aside from claim %s; it cannot be brought back", volume.Name, claim)
			continue
		}
		at, _ := time.Parse(time.RFC3339, volume.Annotations[cluster.AnnotationDisplacedAt]) // for showing only
		found = append(found, asideVolume{
			volume: volume, displaced: displaced, ordinal: ordinal, template: template, at: at,
			operation: volume.Annotations[cluster.AnnotationDisplacedBy],
		})
	}
	slices.SortFunc(found, func(a, b asideVolume) int {
		return cmp.Or(cmp.Compare(a.ordinal, b.ordinal), cmp.Compare(a.template, b.template),
			cmp.Compare(a.incomplete(), b.incomplete()), b.at.Compare(a.at))
	})
	return found
}

// incomplete is 1 for a volume that a restore had made itself. Of two volumes of one claim, it is not the one from before the restore.
func (a *asideVolume) incomplete() int {
	if a.volume.Annotations[cluster.AnnotationDisplacedWhy] == cluster.WhyIncomplete {
		return 1
	}
	return 0
}

// ordinalOf finds the template and the ordinal in a claim's name.
func ordinalOf(sts *appsv1.StatefulSet, claim string) (template string, ordinal int32, found bool) {
	for i := range sts.Spec.VolumeClaimTemplates {
		name := sts.Spec.VolumeClaimTemplates[i].Name
		if ordinal, is := cluster.ClaimOrdinal(claim, name, sts.Name); is {
			return name, ordinal, true
		}
	}
	return "", 0, false
}

// chooseAside takes one operation's volumes: those of the latest that replaced any, or of the one that a person names.
func (p *Plan) chooseAside(all []asideVolume, held bool) []asideVolume {
	latest := p.operation(all, held)
	if latest == "" {
		return nil
	}
	p.RecoveryPoint = latest
	var chosen []asideVolume
	for _, aside := range all {
		if aside.operation != latest || len(p.options.Ordinals) > 0 && !slices.Contains(p.options.Ordinals, aside.ordinal) {
			continue
		}
		if aside.volume.Annotations[cluster.AnnotationDisplacedWhy] == cluster.WhyIncomplete && p.options.Operation == "" {
			continue
		}
		if n := len(chosen); n > 0 && chosen[n-1].displaced.Claim.Name == aside.displaced.Claim.Name {
			continue // an older volume of the same claim
		}
		p.Started = aside.at
		chosen = append(chosen, aside)
	}
	for _, ordinal := range p.options.Ordinals {
		if !slices.ContainsFunc(chosen, func(aside asideVolume) bool { return aside.ordinal == ordinal }) {
			p.refuse(
				fmt.Sprintf("operation %s has set no volume of ordinal %d aside that could be brought back", latest, ordinal),
				fmt.Sprintf("see what there is with \"stsbackup undo %s --list\"", p.target()),
			)
		}
	}
	return chosen
}

// operation is the id of the operation to undo. If there is none, or if several match, the plan is refused.
func (p *Plan) operation(all []asideVolume, held bool) string {
	var ids, begin []string
	latest, prefix := "", p.options.Operation
	for _, aside := range all {
		if aside.volume.Annotations[cluster.AnnotationDisplacedWhy] != cluster.WhyIncomplete {
			latest = max(latest, aside.operation) // ids sort by time
		}
		if !slices.Contains(ids, aside.operation) {
			ids = append(ids, aside.operation)
		}
	}
	for _, id := range ids {
		if strings.HasPrefix(id, prefix) {
			begin = append(begin, id)
		}
	}
	see := fmt.Sprintf("see what there is with \"stsbackup undo %s --list\"", p.target())
	if held {
		see += "; a restore whose journal is gone still holds the pods back: " + cluster.LetGoHint(p.Namespace, p.StatefulSet)
	}
	switch {
	case prefix == "" && latest == "", len(ids) == 0:
		p.refuse("no volume is set aside that could be brought back", see)
	case prefix == "":
		return latest
	case slices.Contains(ids, prefix):
		return prefix
	case len(begin) == 1:
		return begin[0]
	case len(begin) > 1:
		p.refuse(
			fmt.Sprintf("several operations begin with %q: %s", prefix, strings.Join(begin, ", ")),
			"give more characters of the one that you mean; "+see,
		)
		return ""
	default:
		p.refuse(fmt.Sprintf("no operation %q has set aside a volume that can be brought back; there are "+
			"%s", prefix, strings.Join(ids, ", ")), see)
	}
	p.Refusals[len(p.Refusals)-1].Err = cluster.ErrNotFound
	return ""
}

// plan says what to do with one of these volumes.
func (a *asideVolume) plan(s *index) Volume {
	v := Volume{Ordinal: a.ordinal, Template: a.template, Claim: a.displaced.Claim.Name, SourceClaim: a.displaced.Claim.Name, Cut: a.at,
		Class: a.volume.Spec.StorageClassName, Size: a.volume.Spec.Capacity.Storage().Value(), Brings: a.volume.Name}
	v.now = s.place(v.Claim)
	v.Present, v.displaced = v.now.present()
	v.brings, v.manifest = &a.displaced, *a.displaced.Claim.DeepCopy()
	return v
}

// warnUndo says what an undo does not bring back.
func (p *Plan) warnUndo() {
	sts := p.situation.StatefulSet
	if len(p.Volumes) == 0 {
		return
	}
	var others []string
	for i := range p.ReplicasAfter {
		for t := range sts.Spec.VolumeClaimTemplates {
			claim := cluster.ClaimName(sts.Spec.VolumeClaimTemplates[t].Name, p.StatefulSet, cluster.OrdinalsStart(sts)+i)
			if !slices.ContainsFunc(p.Volumes, func(v Volume) bool { return v.Claim == claim }) {
				others = append(others, claim)
			}
		}
	}
	if len(others) > 0 {
		p.warnf("these claims keep their present volumes, and the data there comes from another time: %s", strings.Join(others, ", "))
	}
	for _, v := range p.Volumes {
		if v.Ordinal-cluster.OrdinalsStart(sts) >= p.ReplicasAfter {
			p.warnf("%s comes back, and no pod uses it while the StatefulSet has %d replicas", v.Claim, p.ReplicasAfter)
		}
	}
}

// undoSteps says in words what Run will do.
func (p *Plan) undoSteps() []string {
	if len(p.Volumes) == 0 {
		return nil
	}
	var back []string
	for _, v := range p.Volumes {
		back = append(back, v.Brings+" to "+v.Claim)
	}
	steps := p.guardSteps()
	if aside := p.bound(); len(aside) > 0 {
		steps = append(steps, "set the present volumes aside, where another undo finds them: "+strings.Join(aside, ", "))
	}
	return append(steps,
		"bind the volumes again that were set aside: "+strings.Join(back, ", "),
		fmt.Sprintf("scale to %d replicas and wait until the pods are Ready", p.ReplicasAfter))
}
