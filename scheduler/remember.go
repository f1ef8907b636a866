package scheduler

// rememberedMost bounds of how many StatefulSets is remembered what no bucket tells. More than that no cluster has.
const rememberedMost = 20_000

// remembered is what a scheduler knows of a StatefulSet's upkeep beyond its time as the leader, and beyond the StatefulSet: it
// is about the repository, which stays. It is shown, and nothing is decided by it.
type remembered struct{ prune, verify upkeep }

// shownOnly is what of an upkeep is shown to people whatever becomes of its schedule.
func (u upkeep) shownOnly() upkeep {
	return upkeep{succeeded: u.succeeded, damaged: u.damaged}
}

// remember keeps what is known of an entry's upkeep.
func (s *Scheduler) remember(e *entry) {
	if s.upkeeps == nil {
		s.upkeeps = map[Name]remembered{}
	}
	if _, known := s.upkeeps[e.name()]; known || len(s.upkeeps) < rememberedMost {
		s.upkeeps[e.name()] = remembered{prune: e.prune.shownOnly(), verify: e.verify.shownOnly()}
	}
}

// recall gives a new entry what is remembered of its StatefulSet.
func (s *Scheduler) recall(name Name) *entry {
	last := s.upkeeps[name]
	return &entry{prune: last.prune, verify: last.verify}
}
