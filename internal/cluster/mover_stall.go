package cluster

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// stallTimeout is the default of MoverConfig.StallTimeout.
	stallTimeout = 15 * time.Minute
	// lookedAway is the gap between two looks at a mover after which nothing is said of what came between: the API
	// server was away, or this machine slept.
	lookedAway = 30 * time.Second
	// askLogWithin bounds asking for the end of a mover's log.
	askLogWithin = 20 * time.Second
	// stallTail is how many lines are asked for then. Among them is one that says how far the mover is, unless it has
	// warned of many things at once.
	stallTail = 50
)

// Sign is what a line of a mover's log says of how far the mover has come.
type Sign struct {
	// Mark is another than before if the mover has got on. Empty: the line does not say.
	Mark string
	// Doing is what the mover is at, in words; empty if the line does not say.
	Doing string
}

// moverPulse notes what a mover says of how far it has come.
type moverPulse struct {
	read func([]byte) Sign

	mu    sync.Mutex
	mark  string
	doing string
	// since is when the mover last got on, as far as is known. A stream that breaks hides nothing: the next goes on where it
	// broke.
	since time.Time
	// deaf is since when the log cannot be had; zero while it can.
	deaf time.Time
}

// hear takes a line of the log.
func (p *moverPulse) hear(line []byte, now time.Time) {
	sign := p.sign(line)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = cmp.Or(sign.Doing, p.doing)
	if sign.Mark != "" && sign.Mark != p.mark {
		p.mark, p.since = sign.Mark, now
	}
}

func (p *moverPulse) sign(line []byte) Sign {
	if p.read == nil {
		return Sign{Mark: string(line), Doing: string(line)}
	}
	return p.read(line)
}

// listen notes whether the log can be had.
func (p *moverPulse) listen(yes bool, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case yes:
		p.deaf = time.Time{}
	case p.deaf.IsZero():
		p.deaf = now
	}
}

// forgive begins anew: nothing is known of the time before now.
func (p *moverPulse) forgive(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = now
	if !p.deaf.IsZero() {
		p.deaf = now
	}
}

// pulse is what is known of a mover at one time.
type pulse struct {
	mark, doing string
	// still is how long it has not got on; deaf how long nothing can be heard of it. One of them is zero.
	still, deaf time.Duration
}

func (p *moverPulse) take(now time.Time) pulse {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := pulse{mark: p.mark, doing: p.doing}
	switch {
	case !p.deaf.IsZero():
		taken.deaf = now.Sub(p.deaf)
	case p.mark != "": // one that never says how far it is cannot be told to stand still
		taken.still = now.Sub(p.since)
	}
	return taken
}

// verdict is what a pulse comes to.
type verdict int

const (
	alive verdict = iota
	// suspect: it stands still, if what was heard of it is all that there is to hear.
	suspect
	// lost: nothing can be heard of it, and its node does not answer.
	lost
)

// judgePulse decides about a running mover, whose pod Kubernetes may hold to be not ready: a mover is ready as soon as it runs,
// until its node no longer answers.
func judgePulse(p pulse, ready bool, limit time.Duration) verdict {
	switch {
	case p.deaf >= limit && !ready:
		return lost
	case p.still >= limit:
		return suspect
	default:
		return alive
	}
}

// stands is called while the mover runs, and fails if it has not got on for too long.
func (r *moverRun) stands(ctx context.Context, pod *corev1.Pod) error {
	now := r.client.now()
	if away := now.Sub(r.looked); away > lookedAway {
		r.pulse.forgive(now)
	}
	r.looked = now
	limit := cmp.Or(r.config.StallTimeout, stallTimeout)
	taken := r.pulse.take(now)
	switch judgePulse(taken, isReady(pod), limit) {
	case lost:
		return r.failed(
			podState{
				reason:  reasonNodeLost,
				message: fmt.Sprintf("node %s has not answered for %s", pod.Spec.NodeName, taken.deaf.Round(time.Second)),
			},
		)
	case suspect:
		if r.saysMore(ctx, taken) {
			return nil
		}
		return r.failed(
			podState{
				reason: reasonStalled,
				message: fmt.Sprintf("it runs on node %s and has made no progress for %s; the last that it said of itself: %s",
					cmp.Or(pod.Spec.NodeName, "unknown"), taken.still.Round(time.Second), cmp.Or(taken.doing, "nothing")),
			},
		)
	default:
		return nil
	}
}

// saysMore asks for the end of the mover's log by itself: the stream may bring nothing because it is dead. It reports
// whether the mover cannot be said to stand still.
func (r *moverRun) saysMore(ctx context.Context, known pulse) bool {
	asking, cancel := context.WithTimeout(ctx, askLogWithin)
	defer cancel()
	lines, err := r.tail(asking, stallTail)
	more := err != nil
	for _, line := range lines {
		if mark := r.pulse.sign([]byte(line)).Mark; mark != "" {
			more = mark != known.mark // that of the last line counts
		}
	}
	now := r.client.now()
	r.looked = now // asking may have taken a while
	if more {
		r.pulse.forgive(now)
		r.log.restart()
	}
	return more
}

// isReady reports whether Kubernetes holds a pod to be ready, or has not said.
func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status != corev1.ConditionFalse
		}
	}
	return true
}
