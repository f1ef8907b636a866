package displaced

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// Request says which of a StatefulSet's volumes to free: those that are set aside and match every field that is set.
type Request struct {
	// Ordinals are the ordinals to take; none takes all.
	Ordinals []int32
	// Operation is the operation that set the volumes aside, or the beginning of its id; empty takes all.
	Operation string
	// Before is the latest time at which they were set aside; zero takes all. The age is that of the whole set
	// that one operation set aside, so that no part of a set goes alone.
	Before time.Time
}

// Plan says what to free. The caller makes it, shows it, and carries it out only if it has no refusals.
type Plan struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	// Volumes are the volumes to free, Bytes their total size.
	Volumes []Freeing `json:"volumes"`
	Bytes   int64     `json:"bytes"`
	// Left are the volumes with the marks of displaced ones that stay as they are, each with the reason.
	Left []Left `json:"left,omitempty"`
	// Refusals say what prevents the plan. With any refusal, nothing is done.
	Refusals []*cluster.Refusal `json:"refusals,omitempty"`
}

// Freeing is a volume that is to be freed.
type Freeing struct {
	Volume
	// Fate says in words what happens to it.
	Fate string `json:"fate"`
}

// Left is a volume that stays as it is.
type Left struct {
	Volume
	// Because says why it stays.
	Because string `json:"because"`
}

// Err joins the refusals; nil if there are none.
func (p *Plan) Err() error {
	errs := make([]error, len(p.Refusals))
	for i, refusal := range p.Refusals {
		errs[i] = refusal
	}
	return errors.Join(errs...)
}

// NewPlan decides what to free. The plan's refusals say what it cannot or should not do.
func NewPlan(s Situation, r Request) Plan {
	p := Plan{Namespace: s.Namespace, StatefulSet: s.StatefulSet, Volumes: []Freeing{}}
	aside := s.aside(&p)
	operation := p.resolve(aside, r.Operation)
	p.checkOrdinals(aside, r.Ordinals)
	age := ages(aside)
	for _, v := range aside {
		switch at, known := age[v.By]; {
		case len(r.Ordinals) > 0 && !slices.Contains(r.Ordinals, v.Ordinal):
			p.leave(v, "another ordinal was asked for")
		case r.Operation != "" && v.By != operation:
			p.leave(v, "another operation was asked for")
		case !r.Before.IsZero() && !known:
			p.leave(v, "when it was set aside is not known")
		case !r.Before.IsZero() && !at.Before(r.Before):
			p.leave(v, fmt.Sprintf("it has been set aside since %s only", at.Format(time.RFC3339)))
		default:
			p.Volumes = append(p.Volumes, Freeing{Volume: v, Fate: v.fate()})
			p.Bytes += v.Size
		}
	}
	p.checkUse(&s)
	return p
}

// aside returns the volumes that are set aside, and records in the plan what the others are.
func (s *Situation) aside(p *Plan) []Volume {
	var aside []Volume
	for _, v := range s.Volumes {
		switch v.State {
		case StateAside:
			aside = append(aside, v)
		case StateBound:
			p.leave(v, fmt.Sprintf("claim %s/%s holds it again", v.Namespace, v.Claim))
		case StateReserved:
			p.leave(v, fmt.Sprintf("it is reserved for claim %s/%s", v.Namespace, v.Claim))
		case StateGoing:
			p.leave(v, "it is being deleted already")
		default:
			p.leave(v, "any claim may take it already")
		}
	}
	return aside
}

// resolve finds the one operation whose id begins with prefix.
func (p *Plan) resolve(aside []Volume, prefix string) string {
	if prefix == "" {
		return ""
	}
	var all, found []string
	for _, v := range aside {
		if !slices.Contains(all, v.By) {
			all = append(all, v.By)
		}
	}
	for _, id := range all {
		if id == prefix {
			return id
		}
		if strings.HasPrefix(id, prefix) {
			found = append(found, id)
		}
	}
	switch {
	case len(found) == 1:
		return found[0]
	case len(found) > 1:
		p.refuse(
			p.object(),
			fmt.Sprintf("several operations begin with %q: %s", prefix, strings.Join(found, ", ")),
			"give more characters of the one that you mean",
		)
	default:
		p.refuse(p.object(), fmt.Sprintf("no operation %q has set aside any of these volumes", prefix),
			"name one of "+cmp.Or(strings.Join(all, ", "), "none"))
	}
	return ""
}

// checkOrdinals refuses ordinals without a set-aside volume: whoever names an ordinal expects one.
func (p *Plan) checkOrdinals(aside []Volume, ordinals []int32) {
	for _, ordinal := range ordinals {
		if !slices.ContainsFunc(aside, func(v Volume) bool { return v.Ordinal == ordinal }) {
			p.refuse(p.object(), fmt.Sprintf("no volume of ordinal %d is set aside", ordinal), "leave it out of --ordinals")
		}
	}
}

// checkUse refuses to free volumes that somebody may still need.
func (p *Plan) checkUse(s *Situation) {
	if len(p.Volumes) == 0 {
		return
	}
	if s.Restore != "" {
		p.refuse(p.object(), s.Restore+", and may have to put back what is set aside",
			fmt.Sprintf("let it end; if it was killed, run \"stsbackup restore %s/%s\", which says what to do about it", p.Namespace, p.StatefulSet))
	}
	for i := range p.Volumes {
		v := &p.Volumes[i].Volume
		if v.Phase != "Released" {
			p.refuse("volume "+v.Name, fmt.Sprintf("Kubernetes says that it is %s, not Released", cmp.Or(string(v.Phase), "nothing yet")),
				fmt.Sprintf("try again in a moment, and run \"kubectl describe pv %s\"", v.Name))
		}
		if user := s.user(v); user != "" {
			p.refuse("volume "+v.Name, fmt.Sprintf("it is still used by %s", user), "wait until it is not, or end what uses it")
		}
	}
}

// fate says what happens to a volume that is freed.
func (v *Volume) fate() string {
	switch {
	case v.Deletes:
		return "deleted with its data by " + v.Driver
	case v.Provisioned:
		return "deleted by " + v.Driver + ", which its class has keep the data"
	default:
		return "Available to any claim, with the data still on it"
	}
}

func (p *Plan) object() string {
	return cluster.Key{Namespace: p.Namespace, Name: p.StatefulSet}.Object()
}

func (p *Plan) refuse(object, reason, next string) {
	p.Refusals = append(p.Refusals, &cluster.Refusal{Object: object, Reason: reason, Next: next})
}

func (p *Plan) leave(v Volume, because string) {
	p.Left = append(p.Left, Left{Volume: v, Because: because})
}
