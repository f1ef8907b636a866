package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/wait"
)

const (
	// startWithin is how long to wait for a mover that cannot be admitted yet, unless the movers' own limit says otherwise.
	startWithin = 5 * time.Minute
	// roomWithin is how long to wait for any other object: a quota may still count what was swept.
	roomWithin = 30 * time.Second
	// askAgainEvery is the pause between two questions.
	askAgainEvery = 5 * time.Second
)

// answers are what the API server says, as a dry run, about all that a plan would create.
type answers struct {
	// final are denials that time does not change, by the volume's index in the plan; the account's denial is at -1.
	final map[int]cluster.Denial
	// passing are denials that may soon pass, in the order of the plan.
	passing []cluster.Denial
	// unseen says which answers nobody knows, and why.
	unseen []string
}

// ask sends all that the plan would create to the API server, as a dry run, so that quotas, LimitRanges, Pod Security,
// policies and webhooks object before anything is cut. It does not check rights: a missing right shows where it is needed.
func (r *run) ask(ctx context.Context, plan *Plan) (answers, error) {
	all := answers{final: map[int]cluster.Denial{}}
	var candidates []cluster.Candidate
	of := map[runtime.Object]int{}
	add := func(index int, more ...cluster.Candidate) {
		for _, candidate := range more {
			of[candidate.Object] = index
			candidates = append(candidates, candidate)
		}
	}
	target := Target{Operation: r.op, Cluster: plan.Cluster, Request: &r.request, Note: r.Reporter.Note}
	add(-1, r.Saver.Makes(target, nil, capture.Source{})...)
	for i := range plan.Volumes {
		v := &plan.Volumes[i]
		if v.Missing != "" {
			continue
		}
		source, made, err := capture.Makes(r.op, &v.source, &v.choice)
		if err != nil {
			return answers{}, err
		}
		add(i, made...)
		add(i, r.Saver.Makes(target, v, source)...)
	}
	denials, err := r.Cluster.Admits(ctx, candidates...)
	if err != nil {
		return answers{}, err
	}
	for _, denial := range denials {
		_, isPod := denial.Object.(*corev1.Pod)
		index := of[denial.Object]
		_, known := all.final[index]
		switch {
		case denial.Kind == cluster.DeniedDryRun:
			all.unseen = append(all.unseen, denial.What+": "+denial.Message)
		case denial.Kind == cluster.DeniedByRights && isPod:
			all.unseen = append(all.unseen, denial.What+": "+denial.Message+" (stsbackup would ask only by a dry run; see docs/rbac.md)")
		case denial.Kind == cluster.DeniedByRights || known:
		case denial.Passing():
			all.passing = append(all.passing, denial)
		default:
			all.final[index] = denial
		}
	}
	return all, nil
}

// admit marks the volumes of the plan that could not be saved because the API server would not create one of
// their objects. It returns a *cluster.Refusal if this is so for all volumes.
func (r *run) admit(ctx context.Context, plan *Plan) (answers, error) {
	all, err := r.ask(ctx, plan)
	if err != nil {
		return all, err
	}
	if account, denied := all.final[-1]; denied {
		return all, notCreated(&account, 0)
	}
	var first *cluster.Denial
	others, left := 0, 0
	for i := range plan.Volumes {
		denial, denied := all.final[i]
		switch {
		case plan.Volumes[i].Missing != "":
		case !denied:
			left++
		default:
			plan.Volumes[i].Denied = fmt.Sprintf("the API server would not create %s: %s; %s", denial.What, denial.Message, denial.Next())
			if first == nil {
				first = &denial
			} else if first.Like(&denial) {
				others++
			}
		}
	}
	if first != nil && left == 0 {
		return all, notCreated(first, others)
	}
	return all, nil
}

// notCreated refuses because of an object that would not be created.
func notCreated(denial *cluster.Denial, others int) *cluster.Refusal {
	more := ""
	if others > 0 {
		more = fmt.Sprintf(", nor %d more like it", others)
	}
	return &cluster.Refusal{
		Object: denial.What, Reason: fmt.Sprintf("the API server would not create it%s: %s", more, denial.Message),
		Next: denial.Next() + "; then back up again",
	}
}

// foresee asks the API server before Run asks for the Lease. Without an answer the backup goes on, because nothing is lost
// by that. A denial that may pass is a refusal only in a dry run: the leftovers of dead operations may take the room.
func (r *run) foresee(ctx context.Context, plan *Plan) error {
	all, err := r.admit(ctx, plan)
	var refusal *cluster.Refusal
	switch {
	case errors.As(err, &refusal), ctx.Err() != nil:
		return err
	case err != nil:
		r.Reporter.Warn(err.Error())
		return nil
	case r.request.DryRun && len(all.passing) > 0:
		return notCreated(&all.passing[0], likeFirst(all.passing))
	}
	for _, what := range all.unseen {
		r.Reporter.Warn("could not ask the API server whether it would create " + what)
	}
	return nil
}

func likeFirst(denials []cluster.Denial) (others int) {
	for i := range denials[1:] {
		if denials[0].Like(&denials[1+i]) {
			others++
		}
	}
	return others
}

// admitted asks the API server under the Lease, when the leftovers of dead operations are gone. It waits for
// denials that may pass, once and before anything is cut: to wait with each volume would take as long for each.
func (r *run) admitted(ctx context.Context) error {
	begun, told := r.Now(), ""
	for {
		all, err := r.admit(ctx, r.plan)
		var refusal *cluster.Refusal
		switch {
		case errors.As(err, &refusal):
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("back up %s: %w", r.op.Object(), context.Cause(ctx))
		case err != nil || len(all.passing) == 0:
			return nil // the first plan has warned; an object that is denied later fails
		}
		first := &all.passing[0]
		limit := roomWithin
		if _, isPod := first.Object.(*corev1.Pod); isPod {
			limit = cmp.Or(r.request.Mover.StartTimeout, startWithin)
		}
		if r.Now().Sub(begun) >= limit {
			return notCreated(first, likeFirst(all.passing))
		}
		if cause := first.Cause(); cause != told {
			told = cause
			r.Reporter.Note(fmt.Sprintf("waiting (for up to %s): the API server would not create %s yet: %s", limit, first.What, first.Message))
		}
		_ = wait.For(ctx, askAgainEvery) // the end of ctx is seen above
	}
}
