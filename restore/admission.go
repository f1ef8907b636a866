package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Admit asks the API server, as a dry run, about all that carrying out the plan creates, and about the claims
// that putting back would create. What the API server would deny becomes a refusal of the plan. So quotas,
// LimitRanges, Pod Security, policies and webhooks object before anything is changed, and not only when the
// StatefulSet is already down. The error says that there was no answer.
func (r *Restorer) Admit(ctx context.Context, plan *Plan) error {
	id, err := catalog.NewID(r.Now(), r.Random)
	if err != nil {
		return err
	}
	return r.admit(
		ctx,
		plan,
		cluster.Operation{ID: string(id), Kind: string(plan.Kind), Namespace: plan.Namespace, StatefulSet: plan.StatefulSet},
	)
}

func (r *Restorer) admit(ctx context.Context, p *Plan, op cluster.Operation) error {
	denials, err := r.Cluster.Admits(ctx, p.claimCandidates(op)...)
	if err != nil {
		return err
	}
	admission := admission{plan: p, gone: p.situation.own}
	for _, denial := range denials {
		// checkQuotas judges quotas better: it accounts for the claims that go.
		if denial.Kind != cluster.DeniedByQuota {
			admission.add(denial)
		}
	}
	volumes := p.filled()
	movers, pods, err := r.Filler.Admit(ctx, Target{
		Operation: op, StatefulSet: p.situation.StatefulSet, Cluster: p.situation.Cluster, Source: p.source(),
	}, volumes)
	if err != nil {
		return err
	}
	for _, denial := range movers {
		if _, isPod := denial.Object.(*corev1.Pod); isPod && denial.Kind == cluster.DeniedByQuota {
			admission.exceeded(denial)
		} else {
			admission.add(denial)
		}
	}
	p.Refusals = append(p.Refusals, admission.refusals()...)
	if len(admission.groups) == 0 && len(pods) > 0 {
		p.checkMoversAtOnce(min(r.parallel(), len(p.Ordinals())), &pods[0], admission.gone)
	}
	for _, denial := range admission.unseen {
		p.warnf("could not ask the API server whether it would create %s: %s", denial.What, denial.Message)
	}
	return nil
}

// claimCandidates are the claims that the plan creates, and those that it deletes and would have to create again.
func (p *Plan) claimCandidates(op cluster.Operation) []cluster.Candidate {
	var candidates []cluster.Candidate
	for i := range p.Volumes {
		v := &p.Volumes[i]
		claim := p.Namespace + "/" + v.Claim
		if v.manifest.Name != "" {
			made := v.manifest.DeepCopy()
			metav1.SetMetaDataAnnotation(&made.ObjectMeta, annotationOperation, op.ID)
			candidates = append(candidates, cluster.Candidate{What: "claim " + claim, Object: made})
		}
		if v.displaced != nil && (v.manifest.Name != "" || p.Way == WayPutBack) {
			candidates = append(candidates, cluster.Candidate{What: "claim " + claim + " again, as it was", Object: v.displaced.Claim.DeepCopy()})
		}
	}
	return candidates
}

// filled are the volumes that movers fill.
func (p *Plan) filled() []Volume {
	return slices.DeleteFunc(slices.Clone(p.Volumes), func(v Volume) bool { return v.manifest.Name == "" || v.brings != nil })
}

// checkMoversAtOnce refuses if quotas have room for one mover, but not for as many as will run at once: the
// others would wait for their pods until the restore gives up on them.
func (p *Plan) checkMoversAtOnce(n int, pod *corev1.Pod, gone []corev1.Pod) {
	excess := cluster.QuotaFor(n, pod, p.situation.Quotas, gone)
	if n < 2 || len(excess) == 0 {
		return
	}
	p.refuseAbout("ResourceQuota "+p.Namespace+"/"+excess[0].Quota,
		fmt.Sprintf("it has no room for %d movers at once%s: %s", n, whenGone(gone), inWords(excess)),
		"restore one ordinal at a time (--parallel 1), raise it, or have movers ask for less with --mover-requests and --mover-limits")
}

// admission collects denials. Objects of one kind that are denied for the same reason become one refusal.
type admission struct {
	plan *Plan
	// gone are the pods that will have ended when movers run.
	gone   []corev1.Pod
	groups []*denied
	// unseen are dry runs whose outcome is not known.
	unseen []cluster.Denial
}

// denied holds objects of one kind that are denied for the same reason.
type denied struct {
	first   cluster.Denial
	others  int
	refusal *cluster.Refusal // set if it says more than the server's message
}

func (a *admission) add(denial cluster.Denial) {
	_, isPod := denial.Object.(*corev1.Pod)
	switch {
	case denial.Kind == cluster.DeniedDryRun:
		a.unseen = append(a.unseen, denial)
	case denial.Kind == cluster.DeniedByRights && isPod:
		// Only dry runs create pods directly, so the missing right matters only here.
		denial.Message += " (stsbackup would ask only by a dry run; see docs/rbac.md)"
		a.unseen = append(a.unseen, denial)
	default:
		a.group(denial, nil)
	}
}

func (a *admission) group(denial cluster.Denial, refusal *cluster.Refusal) {
	for _, group := range a.groups {
		if group.first.Like(&denial) {
			group.others++
			return
		}
	}
	a.groups = append(a.groups, &denied{first: denial, refusal: refusal})
}

// exceeded adds a mover's pod for which a quota has no room, unless it has room once the StatefulSet's pods are gone.
func (a *admission) exceeded(denial cluster.Denial) {
	excess := cluster.QuotaAfter(denial, a.plan.situation.Quotas, a.gone)
	if len(excess) == 0 {
		a.plan.tight = true
		return
	}
	a.group(denial, &cluster.Refusal{
		Object: "ResourceQuota " + a.plan.Namespace + "/" + excess[0].Quota,
		Reason: fmt.Sprintf("it has no room for %s%s: %s (%s)", denial.What, whenGone(a.gone), inWords(excess), denial.Message),
		Next:   "raise it, free what is no longer needed in this namespace, or have movers ask for less with --mover-requests and --mover-limits",
	})
}

func whenGone(gone []corev1.Pod) string {
	if len(gone) == 0 {
		return ""
	}
	return fmt.Sprintf(", also when the StatefulSet's %d pods are gone", len(gone))
}

func inWords(excess []cluster.QuotaExcess) string {
	var texts []string
	for _, e := range excess {
		texts = append(texts, e.String())
	}
	return strings.Join(texts, "; ")
}

func (a *admission) refusals() []*cluster.Refusal {
	var refusals []*cluster.Refusal
	for _, group := range a.groups {
		if group.refusal != nil {
			refusals = append(refusals, group.refusal)
			continue
		}
		more := ""
		if group.others > 0 {
			more = fmt.Sprintf(", nor %d more like it", group.others)
		}
		refusals = append(refusals, &cluster.Refusal{
			Object: group.first.What, Reason: fmt.Sprintf("the API server would not create it%s: %s", more, group.first.Message),
			Next: group.first.Next() + "; then restore again",
		})
	}
	return refusals
}
