package main

import (
	"path/filepath"

	"github.com/stsbackup/stsbackup/test/bench/dataset"
	"github.com/stsbackup/stsbackup/test/bench/report"
)

// Sizes of the data sets, in bytes and in files.
const (
	fileSize    = 512 << 20
	fileCount   = 1
	replicaSize = 160 << 20
	smallDirs   = 1000
)

// needed is the most memory, in bytes, that measuring a data set takes: for three repositories, the restored copy,
// caches and the tools themselves.
func needed(smallFiles int) int64 {
	const large, smallFile = 3 << 30, 12 << 10
	return max(large, int64(smallFiles)*smallFile)
}

// scenario is a data set and what happens to it.
type scenario struct {
	// volumes are the names of the volumes.
	volumes  []string
	generate func(dirs []string) error
	steps    []step
	// once: the scenario takes too long for more than one round.
	once bool
}

// step is one backup, and a restore, of all volumes.
type step struct {
	name string
	// backupOnly: do not restore.
	backupOnly bool
	// change, if it is not nil, changes the data before the step. version distinguishes changes in a sequence.
	change func(dirs []string, version uint64) error
}

// name is the name of the first step.
func (s scenario) name() string { return s.steps[0].name }

// dirs returns the directories of the data, below a directory.
func (s scenario) dirs(below string) (dirs []string) {
	for _, volume := range s.volumes {
		dirs = append(dirs, filepath.Join(below, s.name(), volume))
	}
	return dirs
}

// scenarios returns the scenarios of a comparison, with this many small files.
func scenarios(smallFiles int) []scenario {
	one := []string{"data-0"}
	return []scenario{
		{
			volumes:  one,
			generate: func(dirs []string) error { return dataset.Random(dirs[0], fileCount, fileSize) },
			steps:    []step{{name: report.Incompressible}},
		},
		{
			volumes:  one,
			generate: func(dirs []string) error { return dataset.Pages(dirs[0], fileCount, fileSize) },
			steps: []step{
				{name: report.Pages},
				{name: report.Unchanged},
				{name: report.Changed, change: func(dirs []string, version uint64) error {
					return dataset.ChangePages(dirs[0], fileCount, fileSize, version)
				}},
			},
		},
		{
			volumes:  []string{"data-0", "data-1", "data-2"},
			generate: func(dirs []string) error { return dataset.Replicas(dirs, replicaSize) },
			steps:    []step{{name: report.Replicas}},
		},
		{
			volumes:  one,
			generate: func(dirs []string) error { return dataset.Small(dirs[0], smallDirs, smallFiles/smallDirs) },
			steps:    []step{{name: report.SmallFiles}, {name: report.SmallUnchanged, backupOnly: true}},
			once:     true,
		},
	}
}
