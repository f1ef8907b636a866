package scheduler

// rememberedMost bounds for how many StatefulSets the scheduler remembers what no bucket says. No cluster has more.
const rememberedMost = 20_000

// remembered is what a scheduler remembers about a StatefulSet's upkeep after its time as the leader, and after the
// StatefulSet is gone: it is about the repository, which stays. It is only shown; no decision depends on it.
type remembered struct{ prune, verify upkeep }

// shownOnly is the part of an upkeep that people see, whatever happens to its schedule.
func (u upkeep) shownOnly() upkeep {
	return upkeep{succeeded: u.succeeded, damaged: u.damaged}
}

// remember stores what is known about an entry's upkeep.
func (s *Scheduler) remember(e *entry) {
	if s.upkeeps == nil {
		s.upkeeps = map[Name]remembered{}
	}
	if _, known := s.upkeeps[e.name()]; known || len(s.upkeeps) < rememberedMost {
		s.upkeeps[e.name()] = remembered{prune: e.prune.shownOnly(), verify: e.verify.shownOnly()}
	}
}

// recall makes a new entry with what is remembered about its StatefulSet.
func (s *Scheduler) recall(name Name) *entry {
	last := s.upkeeps[name]
	return &entry{prune: last.prune, verify: last.verify}
}
