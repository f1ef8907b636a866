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
	// lookedAway is the longest gap between two looks at a mover in which we can still judge its progress. After a
	// longer gap the API server was away, or this machine slept.
	lookedAway = 30 * time.Second
	// askLogWithin bounds the request for the end of a mover's log.
	askLogWithin = 20 * time.Second
	// stallTail is how many lines that request asks for. One of them says how far the mover is, unless the mover
	// has warned of many things at once.
	stallTail = 50
)

// Sign is what a line of a mover's log says about the mover's progress.
type Sign struct {
	// Mark changes whenever the mover makes progress. Empty: the line says nothing about it.
	Mark string
	// Doing says in words what the mover is doing; empty if the line does not say.
	Doing string
}

// moverPulse records what a mover says about its progress.
type moverPulse struct {
	read func([]byte) Sign

	mu    sync.Mutex
	mark  string
	doing string
	// since is when the mover last made progress, as far as we know. A broken stream hides nothing: the next one
	// goes on where it broke.
	since time.Time
	// deaf is since when the log has been unavailable; zero while it is available.
	deaf time.Time
}

// hear takes in a line of the log.
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

// listen records whether the log can be had.
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

// forgive starts over: nothing is known about the time before now.
func (p *moverPulse) forgive(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = now
	if !p.deaf.IsZero() {
		p.deaf = now
	}
}

// pulse is what we know about a mover's progress at one time.
type pulse struct {
	mark, doing string
	// still is how long the mover has made no progress; deaf is how long its log has been unavailable. One of them is zero.
	still, deaf time.Duration
}

func (p *moverPulse) take(now time.Time) pulse {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := pulse{mark: p.mark, doing: p.doing}
	switch {
	case !p.deaf.IsZero():
		taken.deaf = now.Sub(p.deaf)
	case p.mark != "": // a mover that never says how far it is cannot be seen to stall
		taken.still = now.Sub(p.since)
	}
	return taken
}

// verdict is what to conclude from a pulse.
type verdict int

const (
	alive verdict = iota
	// suspect: the mover has stalled, unless its log holds more than we have heard.
	suspect
	// lost: the log is unavailable, and the mover's node does not answer.
	lost
)

// judgePulse decides about a running mover. ready is what Kubernetes says of its pod: a mover is ready as soon
// as it runs, until its node no longer answers.
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

// stands is called while the mover runs, and fails if the mover has made no progress for too long.
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

// saysMore reads the end of the mover's log in a request of its own, because a dead stream brings nothing. It
// reports whether we cannot say that the mover has stalled.
func (r *moverRun) saysMore(ctx context.Context, known pulse) bool {
	asking, cancel := context.WithTimeout(ctx, askLogWithin)
	defer cancel()
	lines, err := r.tail(asking, stallTail)
	more := err != nil
	for _, line := range lines {
		if mark := r.pulse.sign([]byte(line)).Mark; mark != "" {
			more = mark != known.mark // the mark of the last line counts
		}
	}
	now := r.client.now()
	r.looked = now // the request may have taken a while
	if more {
		r.pulse.forgive(now)
		r.log.restart()
	}
	return more
}

// isReady reports whether Kubernetes says that a pod is ready, or has not said.
func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status != corev1.ConditionFalse
		}
	}
	return true
}
