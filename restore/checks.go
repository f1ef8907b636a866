package restore

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// checkOwners refuses a StatefulSet that is being deleted, that somebody else controls, or that has pods that are not its own.
func (p *Plan) checkOwners() {
	if p.situation.StatefulSet.DeletionTimestamp != nil {
		p.refuse("it is being deleted", "wait until it is gone and create it again, then restore")
	}
	p.checkManagers()
	for _, pod := range p.situation.foreign {
		if p.isOrdinalsPod(pod.Name) {
			p.refuseAbout("pod "+p.Namespace+"/"+pod.Name, "it has the name of one of the StatefulSet's pods, and is not the StatefulSet's",
				fmt.Sprintf("delete it (kubectl -n %s delete pod %s), then %s", p.Namespace, pod.Name, p.again()))
		}
	}
}

func (p *Plan) isOrdinalsPod(name string) bool {
	return slices.ContainsFunc(p.Volumes, func(v Volume) bool { return cluster.PodName(p.StatefulSet, v.Ordinal) == name })
}

// checkClaims refuses if a present claim or its volume could not be set aside, or could not be put back.
func (p *Plan) checkClaims() {
	for i := range p.Volumes {
		v := &p.Volumes[i]
		claim, volume := v.now.claim, v.now.volume
		if claim == nil {
			continue
		}
		object := "claim " + p.Namespace + "/" + claim.Name
		switch {
		case p.Way == WayResume && v.letGo():
		case p.Way == WayResume && claim.DeletionTimestamp != nil && v.now.debris: // it holds nobody's data: it is made again
		case v.now.vanishes():
			p.refuseGoing(claim, volume)
		case claim.DeletionTimestamp != nil:
			p.refuseAbout(
				object,
				"somebody has deleted it, and it is not gone yet",
				fmt.Sprintf(
					"wait until it is gone (kubectl -n %s wait --for=delete pvc/%s): what uses it must end first; then %s",
					p.Namespace,
					claim.Name,
					p.again(),
				),
			)
		case v.now.bound && volume.DeletionTimestamp != nil:
			p.refuseAbout(
				object,
				fmt.Sprintf(
					"somebody has deleted its volume %s, which is gone for good once the claim lets go of it and so cannot be set aside",
					volume.Name,
				),
				fmt.Sprintf(
					"save what is on it first (stsbackup backup %s --method live), or give it up: %s, delete the claim (kubectl -n %s delete pvc %s), "+
						"then %s",
					p.target(),
					p.scaleDown(),
					p.Namespace,
					claim.Name,
					p.again(),
				),
			)
		case cluster.Binding(volume, claim):
			p.refuseAbout(object, fmt.Sprintf("it is being bound to volume %s at this moment", volume.Name), "when it is Bound, "+p.again())
		}
		p.checkUsers(v)
	}
	p.checkOthersGoing()
}

// checkOthersGoing refuses if somebody has deleted another claim of the StatefulSet, which only its pod still
// keeps: scaling down would end that pod, and delete the volume with the claim.
func (p *Plan) checkOthersGoing() {
	for i := range p.situation.Claims {
		claim := &p.situation.Claims[i]
		at := p.situation.place(claim.Name)
		if _, _, ours := ordinalOf(p.situation.StatefulSet, claim.Name); ours && at.vanishes() &&
			!slices.ContainsFunc(p.Volumes, func(v Volume) bool { return v.Claim == claim.Name }) {
			p.refuseGoing(claim, at.volume)
		}
	}
}

// scaleDown says how to scale the StatefulSet to 0 without losing its other claims.
func (p *Plan) scaleDown() string {
	text := "scale the StatefulSet to 0"
	if retention(p.situation.StatefulSet).WhenScaled == "Delete" {
		text = fmt.Sprintf(
			"have it keep its claims (kubectl -n %s patch statefulset %s -p "+
				"'{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenScaled\":\"Retain\"}}}') and %s",
			p.Namespace,
			p.StatefulSet,
			text,
		)
	}
	return text
}

// refuseGoing refuses because of a claim that is being deleted, and whose volume would be deleted with it.
func (p *Plan) refuseGoing(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) {
	p.refuseAbout(
		"claim "+p.Namespace+"/"+claim.Name,
		fmt.Sprintf("somebody has deleted it: its volume %s and the data on it vanish as soon as no pod uses it", volume.Name),
		fmt.Sprintf(
			"to keep the data run \"kubectl patch pv %s -p '{\"spec\":{\"persistentVolumeReclaimPolicy\":\"Retain\"}}'\"; then %s so that the "+
				"claim can go, and when it is gone %s",
			volume.Name,
			p.scaleDown(),
			p.again(),
		),
	)
}

// again says what to do once the obstacle is gone, in terms of the command that the user ran.
func (p *Plan) again() string {
	switch {
	case p.Way == WayPutBack || p.Kind == KindUndo && p.Way == WayNone:
		return fmt.Sprintf("run \"stsbackup undo %s\" again", p.target())
	case p.Way == WayResume:
		return fmt.Sprintf("run \"stsbackup restore %s --resume\" again", p.target())
	default:
		return "restore again"
	}
}

// letGo reports whether an interrupted restore has deleted the claim, whose volume is kept.
func (v *Volume) letGo() bool {
	claim, volume := v.now.claim, v.now.volume
	return claim.DeletionTimestamp != nil && v.displaced != nil && v.displaced.UID == claim.UID &&
		(volume == nil || volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain)
}

// checkUsers refuses if a pod that scaling down does not end would keep the claim from going.
func (p *Plan) checkUsers(v *Volume) {
	for _, pod := range v.now.users {
		if !p.isOrdinalsPod(pod.Name) {
			p.refuseAbout(
				"pod "+p.Namespace+"/"+pod.Name,
				fmt.Sprintf("it uses claim %s and does not end when the StatefulSet is scaled to 0", v.Claim),
				fmt.Sprintf("end it, or what runs it (kubectl -n %s delete pod %s), then %s", p.Namespace, pod.Name, p.again()),
			)
		}
	}
}

// checkQuotas refuses if a ResourceQuota would not admit the new claims in place of the present ones.
func (p *Plan) checkQuotas() {
	more := map[corev1.ResourceName]*resource.Quantity{}
	add := func(class string, size resource.Quantity, sign int64) {
		if sign < 0 {
			size.Neg()
		}
		for name, q := range map[corev1.ResourceName]resource.Quantity{
			corev1.ResourcePersistentVolumeClaims: *resource.NewQuantity(sign, resource.DecimalSI),
			"count/persistentvolumeclaims":        *resource.NewQuantity(sign, resource.DecimalSI),
			corev1.ResourceRequestsStorage:        size,
			corev1.ResourceName(class + ".storageclass.storage.k8s.io/persistentvolumeclaims"): *resource.NewQuantity(sign, resource.DecimalSI),
			corev1.ResourceName(class + ".storageclass.storage.k8s.io/requests.storage"):       size,
		} {
			if more[name] == nil {
				more[name] = &resource.Quantity{Format: q.Format}
			}
			more[name].Add(q)
		}
	}
	for i := range p.Volumes {
		v := &p.Volumes[i]
		add(v.Class, v.manifest.Spec.Resources.Requests[corev1.ResourceStorage].DeepCopy(), 1)
		if present := v.now.claim; present != nil {
			class := ""
			if present.Spec.StorageClassName != nil {
				class = *present.Spec.StorageClassName
			}
			add(class, present.Spec.Resources.Requests[corev1.ResourceStorage].DeepCopy(), -1)
		}
	}
	for _, quota := range p.situation.Quotas {
		for name, hard := range quota.Status.Hard {
			if need := more[name]; need != nil && need.Sign() > 0 {
				total := quota.Status.Used[name]
				total.Add(*need)
				if total.Cmp(hard) > 0 {
					p.refuseAbout("ResourceQuota "+p.Namespace+"/"+quota.Name,
						fmt.Sprintf("the restore would take %s to %s, and it allows %s", name, total.String(), hard.String()),
						"raise it, or free what is no longer needed in this namespace")
				}
			}
		}
	}
}

// warn collects what does not prevent the restore, but a person should know.
func (p *Plan) warn() {
	if !p.SameCluster {
		p.warnf("the data comes from another cluster (%s)", p.SourceCluster)
	}
	if p.ReplicasBefore == 0 {
		p.warnf(
			"the StatefulSet has 0 replicas now: all ordinals of the recovery point are restored, and it ends with %d replicas, as when it was "+
				"backed up",
			p.ReplicasAfter,
		)
	}
	p.warnLeftBehind()
	for _, left := range p.situation.Record.LeftOut {
		p.warnf("not in the recovery point: %s (%s)", left.What, left.Why)
	}
	for i := range p.Volumes {
		v := &p.Volumes[i]
		if v.recorded.ProblemCount > 0 {
			p.warnf(
				"%s is not whole: %d entries could not be read when it was backed up: %s",
				v.Claim,
				v.recorded.ProblemCount,
				strings.Join(v.recorded.Problems, "; "),
			)
		}
		if present := v.now.claim; present != nil && present.Spec.StorageClassName != nil && *present.Spec.StorageClassName != v.Class {
			p.warnf("%s changes its StorageClass from %q to %q", v.Claim, *present.Spec.StorageClassName, v.Class)
		}
	}
	if security := p.situation.StatefulSet.Spec.Template.Spec.SecurityContext; security != nil && security.FSGroup != nil &&
		(security.FSGroupChangePolicy == nil || *security.FSGroupChangePolicy != corev1.FSGroupChangeOnRootMismatch) {
		p.warnf(
			"the pods have an fsGroup without fsGroupChangePolicy OnRootMismatch: the kubelet changes group and modes of all files whenever it " +
				"mounts a volume, restored or not",
		)
	}
}

func (p *Plan) warnf(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

// warnLeftBehind names what the recovery point holds, and the restore does not bring back.
func (p *Plan) warnLeftBehind() {
	var beyond, unknown []string
	for _, recorded := range p.situation.Record.Volumes {
		switch {
		case planned(p.Volumes, recorded.Ordinal, recorded.Template) || recorded.RepositorySnapshot == "":
		case slices.Contains(p.Ordinals(), recorded.Ordinal):
			unknown = append(unknown, recorded.Claim)
		default:
			beyond = append(beyond, recorded.Claim)
		}
	}
	if len(beyond) > 0 {
		p.warnf(
			"the recovery point also holds data of claims beyond the StatefulSet's %d replicas, which this restore leaves as they are: %s; "+
				"pods that start there later find data of another time; to restore them too, scale up first",
			p.ReplicasAfter,
			strings.Join(beyond, ", "),
		)
	}
	if len(unknown) > 0 {
		p.warnf(
			"the recovery point also holds %s, for which the StatefulSet no longer has a claim template; they are not restored",
			strings.Join(unknown, ", "),
		)
	}
}

func planned(volumes []Volume, ordinal int32, template string) bool {
	return slices.ContainsFunc(volumes, func(v Volume) bool { return v.Ordinal == ordinal && v.Template == template })
}

// steps says in words what Run will do.
func (p *Plan) steps() []string {
	var unbound, lost []string
	for _, v := range p.Volumes {
		switch v.Present.State {
		case PresentUnbound:
			unbound = append(unbound, v.Claim)
		case PresentLost:
			lost = append(lost, v.Claim)
		}
	}
	steps := p.guardSteps()
	if len(p.bound()) > 0 {
		steps = append(steps, "set the present volumes aside: their claims are deleted, the volumes and the data on them are kept")
	}
	if others := append(unbound, lost...); len(others) > 0 {
		steps = append(steps, "delete the claims that have no volume: "+strings.Join(others, ", "))
	}
	for _, v := range p.Volumes {
		if v.Present.State == PresentMade {
			steps = append(steps, v.Claim+": "+v.Present.Fate)
		}
	}
	return append(steps,
		fmt.Sprintf("create %d claims and restore into them", len(p.Volumes)),
		fmt.Sprintf("when all of them are complete: scale to %d replicas and wait until the pods are Ready", p.ReplicasAfter))
}

// bound names the volumes that the plan's claims hold now.
func (p *Plan) bound() (volumes []string) {
	for _, v := range p.Volumes {
		if v.Present.State == PresentBound {
			volumes = append(volumes, v.Present.Volume)
		}
	}
	return volumes
}

// guardSteps are the first steps of every restore and undo.
func (p *Plan) guardSteps() []string {
	var steps []string
	if p.Interrupted != "" && p.Way == WayResume {
		steps = append(steps, "go on with "+p.Interrupted)
	} else if p.Interrupted != "" {
		steps = append(steps, fmt.Sprintf("complete %s, when all its data was in place", p.Interrupted))
	}
	if bound := p.bound(); len(bound) > 0 {
		steps = append(steps, "set the reclaim policy of the present volumes to Retain: "+strings.Join(bound, ", "))
	}
	if policy := retention(p.situation.StatefulSet); policy.WhenScaled == "Delete" || policy.WhenDeleted == "Delete" {
		steps = append(
			steps,
			fmt.Sprintf(
				"keep claims when scaling, for the time of the restore (persistentVolumeClaimRetentionPolicy is whenScaled: %s, whenDeleted: %s)",
				policy.WhenScaled,
				policy.WhenDeleted,
			),
		)
	}
	down := fmt.Sprintf("make sure that %s, which has 0 replicas, has no pods left", p.target())
	if p.ReplicasBefore > 0 && cluster.Replicas(p.situation.StatefulSet) > 0 {
		down = fmt.Sprintf("scale %s from %d to 0 replicas and wait until its pods are gone", p.target(), p.ReplicasBefore)
	}
	return append(steps, down+"; pods that somebody makes meanwhile wait for the end")
}
