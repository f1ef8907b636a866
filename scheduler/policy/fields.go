package policy

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stsbackup/stsbackup/internal/calendar"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/internal/mover/env"
	"github.com/stsbackup/stsbackup/internal/mover/resources"
	"github.com/stsbackup/stsbackup/internal/nearest"
	"github.com/stsbackup/stsbackup/internal/share"
	"github.com/stsbackup/stsbackup/scheduler/clock"
	"github.com/stsbackup/stsbackup/scheduler/retention"
)

// file reads the whole file.
func (r *reader) file(root node, checkRepository func(url string) error) *File {
	file := &File{}
	lines := map[string]int{}
	ignore := func(node) {} // header has read it
	r.mapping(
		root,
		field{"apiVersion", true, ignore},
		field{"kind", true, ignore},
		field{"repository", true, func(n node) {
			file.Repository, _ = r.text(n)
			if checkRepository == nil || file.Repository == "" {
				return
			}
			if err := checkRepository(file.Repository); err != nil {
				r.fail(n, "%s", err.Error())
			}
		}},
		field{"policies", true, func(n node) {
			r.list(n, func(n node) {
				policy := r.policy(n)
				if line, twice := lines[policy.Name]; twice && policy.Name != "" {
					r.fail(n, "the name %q is taken by the policy in line %d; give each policy a name of its own", policy.Name, line)
				} else {
					lines[policy.Name] = n.Line
				}
				file.Policies = append(file.Policies, policy)
			})
		}},
	)
	return file
}

// times are the parts of a policy that can be read only when the time zone is known, wherever in the policy that is.
type times struct {
	zone, schedule, jitter, prune, verify *node
}

// policy reads one policy.
func (r *reader) policy(n node) Policy {
	p := Policy{Zone: time.UTC, Backup: Backup{Method: string(method.Auto), Parallel: 1}}
	var t times
	later := func(to **node) func(node) { return func(n node) { *to = &n } }
	r.mapping(
		n,
		field{"name", true, func(n node) { p.Name = r.name(n) }},
		field{"select", true, func(n node) { p.Select = r.selector(n) }},
		field{"schedule", true, later(&t.schedule)},
		field{"timeZone", false, later(&t.zone)},
		field{"jitter", false, later(&t.jitter)},
		field{"startingDeadline", false, func(n node) { p.StartingDeadline = r.duration(n) }},
		field{"suspend", false, func(n node) { p.Suspend = r.boolean(n) }},
		field{"backup", false, func(n node) { r.backup(n, &p.Backup) }},
		field{"keep", false, func(n node) { p.Keep = r.keep(n) }},
		field{"prune", false, later(&t.prune)},
		field{"verify", false, later(&t.verify)},
		field{"discard", false, func(n node) {
			r.mapping(n, field{"after", true, func(n node) { p.DiscardAfter = r.discardAfter(n) }})
		}},
	)
	r.times(&p, t)
	return p
}

// times reads schedules in the policy's time zone.
func (r *reader) times(p *Policy, t times) {
	zone := ""
	if t.zone != nil {
		name, ok := r.text(*t.zone)
		location, err := clock.Zone(name)
		switch {
		case err != nil:
			r.fail(*t.zone, "%s", err.Error())
		case ok:
			zone, p.Zone = name, location
		}
	}
	if t.schedule != nil {
		p.Schedule = r.schedule(*t.schedule, zone)
	}
	if t.jitter != nil {
		p.Jitter = r.duration(*t.jitter)
		if least := shortest(p.Schedule); p.Jitter > 0 && least > 0 && p.Jitter >= least {
			r.fail(*t.jitter, "%s is not less than the %s between two runs of %s", p.Jitter, least, p.Schedule)
		}
	}
	if t.prune != nil {
		r.mapping(*t.prune, field{"schedule", true, func(n node) { p.Prune = r.schedule(n, zone) }})
	}
	if t.verify != nil {
		r.mapping(
			*t.verify,
			field{"schedule", true, func(n node) { p.Verify.Schedule = r.schedule(n, zone) }},
			field{"readData", false, func(n node) { p.Verify.ReadData = r.share(n) }},
		)
	}
}

// shortest is the shortest time between runs of a schedule, among many runs; 0 if there are none.
func shortest(schedule clock.Schedule) time.Duration {
	const runs = 100
	var least time.Duration
	last := schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	for range runs {
		next := schedule.Next(last)
		if next.IsZero() {
			break
		}
		if gap := next.Sub(last); least == 0 || gap < least {
			least = gap
		}
		last = next
	}
	return least
}

func (r *reader) schedule(n node, zone string) clock.Schedule {
	text, ok := r.scalar(n)
	if !ok {
		return clock.Schedule{}
	}
	schedule, err := clock.ParseSchedule(text, zone)
	if err != nil {
		r.fail(n, "%s", strings.TrimPrefix(err.Error(), "schedule "))
	}
	return schedule
}

func (r *reader) name(n node) string {
	name, ok := r.text(n)
	if !ok {
		return ""
	}
	if faults := validation.IsDNS1123Label(name); len(faults) > 0 {
		r.fail(n, "%.80q cannot be the name of a policy: %s", name, faults[0])
	}
	if name == None {
		r.fail(n, "%q cannot be the name of a policy: as the annotation %s it means that there is none", None, Annotation)
	}
	return name
}

func (r *reader) selector(n node) Selector {
	var s Selector
	r.mapping(
		n,
		field{"namespaces", false, func(n node) { s.Namespaces = r.patterns(n, "") }},
		field{"namespaceLabels", false, func(n node) { s.NamespaceLabels = r.labels(n) }},
		field{"statefulSetLabels", false, func(n node) { s.StatefulSetLabels = r.labels(n) }},
		field{"names", false, func(n node) { s.Names = r.patterns(n, "") }},
		field{"exclude", false, func(n node) { s.Exclude = r.patterns(n, "/") }},
	)
	// If a part is missing because it was wrong, that has been reported already.
	if n.Kind == yaml.MappingNode && len(r.problemsIn(n)) == 0 && s.empty() {
		r.fail(n, `selects nothing; name namespaces, names, namespaceLabels or statefulSetLabels; namespaces: ["*"] selects every StatefulSet`)
	}
	return s
}

// problemsIn returns the problems inside a node.
func (r *reader) problemsIn(n node) []Problem {
	return slices.DeleteFunc(slices.Clone(r.problems), func(p Problem) bool { return !strings.HasPrefix(p.Text, n.path) })
}

// patterns reads patterns of names; further are additional characters that they may have.
func (r *reader) patterns(n node, further string) []string {
	var patterns []string
	r.list(n, func(n node) {
		pattern, ok := r.text(n)
		if !ok {
			return
		}
		if strings.Trim(pattern, "abcdefghijklmnopqrstuvwxyz0123456789-.*?"+further) != "" || pattern == "" || strings.Count(pattern, "/") > 1 {
			r.fail(n, "%.80q is not a name, nor a pattern with * and ?", pattern)
			return
		}
		patterns = append(patterns, pattern)
	})
	return patterns
}

// labels reads labels with their values, or a selector as kubectl accepts it.
func (r *reader) labels(n node) labels.Selector {
	if n.Kind == yaml.ScalarNode {
		text, _ := r.text(n)
		selector, err := labels.Parse(text)
		if err != nil {
			r.fail(n, "%.80q is not a label selector: %s", text, err.Error())
			return nil
		}
		if selector.Empty() {
			r.fail(n, "selects nothing; write labels with their values, or a selector such as tier=db,env in (a,b)")
			return nil
		}
		return selector
	}
	set := labels.Set{}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "must be labels with their values, or a selector such as tier=db,env in (a,b), but is %s", kindOf(n))
		return nil
	}
	r.fields(n, func(key string, child node) {
		if value, ok := r.text(child); ok {
			set[key] = value
		}
	})
	selector, err := labels.ValidatedSelectorFromSet(set)
	if err != nil {
		r.fail(n, "%s", err.Error())
		return nil
	}
	if len(n.Content) == 0 {
		r.fail(n, "selects nothing; write labels with their values, or a selector such as tier=db,env in (a,b)")
		return nil
	}
	return selector
}

func (r *reader) backup(n node, b *Backup) {
	r.mapping(
		n,
		field{"method", false, func(n node) { b.Method = r.oneOf(n, method.Names()...) }},
		field{"parallel", false, func(n node) { b.Parallel = r.number(n, 1) }},
		field{"snapshotReadyTimeout", false, func(n node) { b.SnapshotReadyTimeout = r.duration(n) }},
		field{"moverResources", false, func(n node) {
			r.mapping(
				n,
				field{"requests", false, func(n node) { b.Requests = r.quantities(n) }},
				field{"limits", false, func(n node) { b.Limits = r.quantities(n) }},
			)
			for _, name := range resources.Names() {
				request, limit := b.Requests[name], b.Limits[name]
				if resources.Exceeds(request, limit) {
					r.fail(n, "requests more %s (%s) than the limit (%s) allows", name, request.String(), limit.String())
				}
			}
		}},
		field{"moverEnv", false, func(n node) { b.Env = r.environment(n) }},
	)
}

// environment reads environment variables for movers.
func (r *reader) environment(n node) map[string]string {
	variables := map[string]string{}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "must be variables with their values, but is %s", kindOf(n))
		return nil
	}
	r.fields(n, func(name string, child node) {
		value, ok := r.text(child)
		if !ok {
			return
		}
		if err := env.Check(name, value); err != nil {
			r.fail(child, "%s", err.Error())
			return
		}
		variables[name] = value
	})
	return variables
}

func (r *reader) oneOf(n node, known ...string) string {
	value, ok := r.text(n)
	if !ok || slices.Contains(known, value) {
		return value
	}
	if near := nearest.Name(value, known); near != "" {
		r.fail(n, "%.60q is unknown; did you mean %q?", value, near)
	} else {
		r.fail(n, "%.60q is unknown; there are %s", value, strings.Join(known, ", "))
	}
	return ""
}

func (r *reader) quantities(n node) resources.Amounts {
	quantities := resources.Amounts{}
	read := func(name string) field {
		return field{name, false, func(n node) {
			text, ok := r.scalar(n)
			if !ok {
				return
			}
			quantity, ok := resources.Parse(text)
			if !ok || quantity.IsZero() {
				r.fail(n, "%.60q is not a quantity; write for example 500m, 2, 128Mi or 1Gi", text)
				return
			}
			quantities[name] = quantity
		}}
	}
	var fields []field
	for _, name := range resources.Names() {
		fields = append(fields, read(name))
	}
	r.mapping(n, fields...)
	return quantities
}

func (r *reader) keep(n node) *retention.Rules {
	rules := &retention.Rules{}
	count := func(name string, to *int) field {
		return field{name, false, func(n node) { *to = r.number(n, 0) }}
	}
	r.mapping(
		n,
		count("last", &rules.Last),
		count("hourly", &rules.Hourly),
		count("daily", &rules.Daily),
		count("weekly", &rules.Weekly),
		count("monthly", &rules.Monthly),
		count("yearly", &rules.Yearly),
		field{"within", false, func(n node) { rules.Within = r.span(n) }},
	)
	if err := rules.Check(); err != nil && len(r.problemsIn(n)) == 0 {
		r.fail(n, "%s; leave keep out to keep everything", err.Error())
	}
	return rules
}

// span reads a calendar span.
func (r *reader) span(n node) calendar.Span {
	text, ok := r.scalar(n)
	if !ok {
		return calendar.Span{}
	}
	span, err := calendar.ParseSpan(text)
	if err != nil {
		r.fail(n, "%s", err.Error())
	}
	return span
}

// leastDiscardAfter is the least time for which volumes that a restore has set aside stay: only use shows whether the
// restore was right.
const leastDiscardAfter = 24 * time.Hour

// discardAfter reads how long volumes that were set aside stay.
func (r *reader) discardAfter(n node) calendar.Span {
	problems := len(r.problems)
	span := r.span(n)
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	if len(r.problems) == problems && now.Sub(span.Before(now)) < leastDiscardAfter {
		r.fail(n, "%s is less than a day, too short to see whether the restore was right", span)
	}
	return span
}

// share reads a percentage, as 0 to 1.
func (r *reader) share(n node) float64 {
	text, ok := r.scalar(n)
	if !ok {
		return 0
	}
	part, ok := share.Parse(text)
	if !ok {
		r.fail(n, "%.60q is not a share; write for example 5%% or 100%%", text)
	}
	return part
}
