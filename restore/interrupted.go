package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// unproved says why we cannot prove that nobody has written to the volume of a claim that the journal's operation made, or
// "" if we can. Only with this proof may a restore remove such a volume, or use it as it is. The proof needs all of this:
// the StatefulSet is the journal's, and has been held unchanged since before the claim was made, so that none of its pods
// has run; no other pod uses the claim; the volume was not there before, and was never handed over.
// pods has run; no other pod uses the claim; and the volume was neither there before nor ever handed over.
func (j *Journal) unproved(v *JournalVolume, sts *appsv1.StatefulSet, pods []corev1.Pod, live *corev1.PersistentVolumeClaim) string {
	switch {
	case v.State == StateHandedOver:
		return "it was handed over to the pods"
	case v.Brings != nil:
		return "it was there before"
	case sts == nil || sts.UID != j.UID:
		return "the StatefulSet was made anew since"
	case j.Held == 0:
		return "nobody knows since when the StatefulSet is held"
	case sts.Generation != j.Held:
		return "somebody has changed the StatefulSet since it was held (has scaled it, or applied its manifest)"
	case cluster.Replicas(sts) != 0:
		return fmt.Sprintf("the StatefulSet has %d replicas", cluster.Replicas(sts))
	case !cluster.Gated(&sts.Spec.Template.Spec):
		return "the StatefulSet is not held"
	case v.Made != "" && v.Made != live.UID:
		return "the claim is not the one that the restore made"
	}
	if users := cluster.RunningOn(pods, live.Name); users != "" {
		return users + " uses it"
	}
	if users := cluster.EndedOn(pods, live.Name); users != "" {
		return users + " has used it"
	}
	return ""
}

// reopen takes the last phase back if no pod can have run since it was entered, and a claim that was complete then no longer
// exists: whoever deleted it, pods must not start on an empty one. Volumes that we cannot prove to be unused count as handed over.
func (j *Journal) reopen(s *index) {
	sts := s.StatefulSet
	if j.Phase != PhaseResume || sts.UID != j.UID || !cluster.Gated(&sts.Spec.Template.Spec) || len(s.running) > 0 {
		return
	}
	whole := func(v *JournalVolume) bool {
		at := s.place(v.Claim)
		return at.bound && at.claim.DeletionTimestamp == nil && at.claim.UID == v.Made && at.volume.UID == v.MadeVolume
	}
	all := true
	for i := range j.Volumes {
		all = all && (j.Volumes[i].State != StateHandedOver || whole(&j.Volumes[i]))
	}
	if all {
		return
	}
	j.Phase = PhaseFill
	for i := range j.Volumes {
		switch v := &j.Volumes[i]; {
		case v.State != StateHandedOver:
		case whole(v) && sts.Generation == j.Held:
			v.State = StateChecked
		case s.place(v.Claim).claim != nil:
			v.State = StateHandedOver
		default:
			v.State = StateAside
		}
	}
}

// holds reports whether the StatefulSet is still as the journal's restore leaves it before it lets pods start. Restores of
// version 1 put no gate into the template. With a partition, the gate is off for a moment before the StatefulSet is scaled up.
func (j *Journal) holds(sts *appsv1.StatefulSet) bool {
	return cluster.Gated(&sts.Spec.Template.Spec) || j.Version < 2 || cluster.Partitioned(sts) && cluster.Replicas(sts) == 0
}

// found says why the volume of a claim that the journal's operation made cannot have been made for that claim, or "" if it was.
func (j *Journal) found(volume *corev1.PersistentVolume, live *corev1.PersistentVolumeClaim) string {
	for i := range j.Volumes {
		if j.Volumes[i].known(volume) != nil {
			return "it was there before"
		}
	}
	return cluster.FoundFor(volume, live)
}

// running names the pods of the StatefulSet that may write.
func running(sts *appsv1.StatefulSet, pods []corev1.Pod) []string {
	var names []string
	for i := range pods {
		if metav1.IsControlledBy(&pods[i], sts) && cluster.MayRun(&pods[i]) {
			names = append(names, pods[i].Name)
		}
	}
	slices.Sort(names)
	return names
}

// interrupted takes over what is known about an interrupted restore that the plan continues, or that was nearly done.
func (p *Plan) interrupted() {
	s, j := p.situation, p.situation.Journal
	if j == nil {
		return
	}
	p.Interrupted, p.Way = j.words(), p.options.Interrupted
	p.Running = s.running
	switch {
	case s.StatefulSet.UID != j.UID:
	case j.Phase != PhaseResume:
		p.ReplicasBefore, p.ReplicasAfter = j.Replicas, j.ReplicasAfter
	case p.ReplicasBefore == 0 && j.holds(s.StatefulSet): // and Run will complete it first
		p.ReplicasBefore, p.ReplicasAfter = j.ReplicasAfter, j.ReplicasAfter
	}
	if p.Way == WayResume && p.RecoveryPoint == "" {
		p.RecoveryPoint = j.RecoveryPoint
	}
}

// newNothingPlan is the plan for somebody who wants an interrupted restore settled although none was
// interrupted. It does nothing: it must not become a restore of everything in the recovery point.
func newNothingPlan(s *index, options PlanOptions) Plan {
	p := newPlan(s, options)
	next := nothingNext(p.target())
	if s.heldForNobody() {
		next += "; a restore whose journal is gone still holds the pods back: " + cluster.LetGoHint(p.Namespace, p.StatefulSet)
	}
	p.refuse("no restore of it was interrupted", next)
	p.Refusals[len(p.Refusals)-1].Err = cluster.ErrNotFound
	return p
}

// nothingNext is what to type if no restore was interrupted.
func nothingNext(target string) string {
	return fmt.Sprintf(
		"to begin one: \"stsbackup restore %[1]s\"; to see what restores have set aside: \"stsbackup undo %[1]s --list\"",
		target,
	)
}

// newCompletePlan is the plan for a restore that was nearly done: its pods may run on what it has restored.
func newCompletePlan(s *index, options PlanOptions) Plan {
	p := newPlan(s, options)
	p.Kind, p.RecoveryPoint, p.Way = s.Journal.Kind, s.Journal.RecoveryPoint, WayResume
	p.Volumes = p.settled()
	p.Steps = []string{
		fmt.Sprintf(
			"complete %s, all of whose data is in place: scale to %d replicas and wait until the pods are Ready",
			s.Journal.verb(),
			p.ReplicasAfter,
		),
	}
	return p
}

// newResumedUndoPlan is the plan to continue an undo.
func newResumedUndoPlan(s *index, options PlanOptions) Plan {
	options.Kind = KindUndo
	p := newPlan(s, options)
	p.RecoveryPoint = s.Journal.RecoveryPoint
	p.SourceNamespace, p.SourceStatefulSet, p.SourceCluster, p.SameCluster = p.Namespace, p.StatefulSet, s.Cluster, true
	for i := range s.Journal.Volumes {
		j := &s.Journal.Volumes[i]
		v := Volume{Ordinal: j.Ordinal, Template: j.Template, Claim: j.Claim, SourceClaim: j.Claim, displaced: j.Displaced, brings: j.Brings}
		v.now = s.place(j.Claim)
		v.Present = v.now.presentNow()
		if j.Brings == nil {
			continue
		}
		v.Brings, v.manifest = j.Brings.Volume, *j.Brings.Claim.DeepCopy()
		if volume := s.volumes[v.Brings]; volume == nil || volume.UID != j.Brings.VolumeUID {
			p.refuseAbout("volume "+v.Brings, "somebody has deleted it since it was set aside from claim "+j.Claim,
				fmt.Sprintf("put the undo back: stsbackup undo %s", p.target()))
		}
		p.Volumes = append(p.Volumes, v)
	}
	p.checkOwners()
	p.checkClaims()
	p.Steps = p.undoSteps()
	return p
}

// resumed takes over what an interrupted restore knows about a claim.
func (v *Volume) resumed(interrupted *Journal) {
	j, live := v.now.entry, v.now.claim
	if j == nil || interrupted.Phase == PhaseResume {
		return
	}
	v.displaced = j.Displaced
	if live == nil && j.Displaced != nil && j.Displaced.Volume != "" {
		v.Present.Fate = fmt.Sprintf("volume %s is set aside", j.Displaced.Volume)
	}
	if !v.now.made {
		return
	}
	v.Present = v.now.presentNow()
	why := v.now.unproved
	switch {
	case why != "" && live.Spec.VolumeName != "":
		v.Present.Fate = fmt.Sprintf("volume %s is set aside and kept: %s", live.Spec.VolumeName, why)
	case j.State == StateChecked && j.RepositorySnapshot == v.RepositorySnapshot:
		v.Present.Fate = "complete already"
	default:
		v.Present.Fate = "filled again"
	}
	if j.Spare != "" && live.Spec.VolumeName == j.Spare && why == "" {
		v.Spare = j.Spare
	}
}

// newSettlePlan is the plan for a StatefulSet with an interrupted restore that is not continued: it puts the
// restore back, keeps what is there now, or asks a person.
func newSettlePlan(s *index, options PlanOptions) Plan {
	j := s.Journal
	p := newPlan(s, options)
	p.Kind, p.RecoveryPoint = j.Kind, j.RecoveryPoint
	if options.Kind == KindUndo && options.Interrupted == WayNone {
		p.Way, p.options.Interrupted = WayPutBack, WayPutBack
	}
	p.Volumes = p.settled()
	switch p.Way {
	case WayPutBack:
		p.ReplicasAfter = p.ReplicasBefore
		p.checkOwners()
		p.checkOthersGoing()
		p.Steps = p.putBackSteps()
	case WayKeep:
		p.Steps = []string{
			"leave all claims and volumes as they are, and what was set aside set aside",
			fmt.Sprintf("let pods of %s start again, and end the interrupted restore: its journal is removed", p.target()),
		}
		if len(p.Running) == 0 {
			p.refuse("none of its pods runs, so there is nothing to keep: its claims do not hold complete data", p.ways(false))
		}
	default:
		p.refuse(j.words(), p.ways(len(p.Running) > 0))
	}
	return p
}

// ways lists, as commands, what a person can do about an interrupted restore.
func (p *Plan) ways(keep bool) string {
	text := ""
	if len(p.Running) > 0 {
		text = fmt.Sprintf(
			"%s run since; whichever of these you choose, what they have written stays on volumes that are kept; ",
			strings.Join(p.Running, ", "),
		)
	}
	text += fmt.Sprintf(
		"to continue it: \"stsbackup restore %[1]s --resume\"; to bring back what was there before it: \"stsbackup undo %[1]s\"",
		p.target(),
	)
	if keep {
		text += fmt.Sprintf("; to keep what runs now: \"stsbackup restore %s --keep-present\"", p.target())
	}
	return text
}

// settled are the volumes of the journal, and what happens to them.
func (p *Plan) settled() []Volume {
	var volumes []Volume
	for i := range p.situation.Journal.Volumes {
		v := &p.situation.Journal.Volumes[i]
		volume := Volume{
			Ordinal:            v.Ordinal,
			Template:           v.Template,
			Claim:              v.Claim,
			RepositorySnapshot: v.RepositorySnapshot,
			displaced:          v.Displaced,
			now:                p.situation.place(v.Claim),
		}
		volume.Present = volume.now.presentNow()
		if p.Way == WayPutBack {
			volume.Present.Fate = volume.now.backFate()
		}
		volumes = append(volumes, volume)
	}
	return volumes
}

// backFate says what putting back does with one claim.
func (w *place) backFate() string {
	v, live := w.entry, w.claim
	var parts []string
	switch {
	case live == nil:
	case v.Displaced != nil && live.UID == v.Displaced.UID:
		return "stays"
	case live.Spec.VolumeName == "":
		parts = append(parts, "the claim, which has no volume, is removed")
	case !w.made:
		parts = append(parts, fmt.Sprintf("volume %s, which somebody has made since, is set aside and kept", live.Spec.VolumeName))
	case w.unproved != "":
		parts = append(parts, fmt.Sprintf("volume %s is set aside and kept: %s", live.Spec.VolumeName, w.unproved))
	default:
		parts = append(parts, fmt.Sprintf("volume %s, which nobody has written to but the restore, is removed", live.Spec.VolumeName))
	}
	if v.Displaced != nil && v.Displaced.Volume != "" {
		parts = append(parts, fmt.Sprintf("volume %s comes back", v.Displaced.Volume))
	}
	return strings.Join(parts, "; ")
}

// putBackSteps says in words what putting back will do.
func (p *Plan) putBackSteps() []string {
	steps := []string{fmt.Sprintf("hold %s: scale it to 0 replicas, and have pods that are made wait", p.target())}
	if len(p.Running) > 0 {
		steps[0] += fmt.Sprintf("; this ends %s", strings.Join(p.Running, ", "))
	}
	for _, v := range p.Volumes {
		if v.Present.Fate != "" {
			steps = append(steps, v.Claim+": "+v.Present.Fate)
		}
	}
	return append(steps, fmt.Sprintf("scale to %d replicas", p.ReplicasBefore))
}

// AsksForWay reports whether the plan is refused because a person has to decide what happens to an interrupted restore.
func (p *Plan) AsksForWay() bool {
	return p.Interrupted != "" && p.Way == WayNone && len(p.Steps) == 0 && len(p.Refusals) > 0
}

// Completes reports whether the plan only lets pods start on what an interrupted restore has put in place.
func (p *Plan) Completes() bool {
	return p.Way != WayNone && p.situation != nil && p.situation.Journal != nil && p.situation.Journal.Phase == PhaseResume
}

// Interrupted reads the journal of an unfinished restore or undo of the StatefulSet. If there is none, the
// error wraps cluster.ErrNotFound.
func Interrupted(ctx context.Context, c *cluster.Client, namespace, statefulSet string) (*Journal, error) {
	key := cluster.Key{Namespace: namespace, Name: statefulSet}
	journal, err := readJournal(ctx, c, key)
	if err == nil && journal == nil {
		err = &cluster.Refusal{Object: key.Object(), Err: cluster.ErrNotFound,
			Reason: "no restore of it was interrupted", Next: nothingNext(key.String())}
	}
	return journal, err
}
