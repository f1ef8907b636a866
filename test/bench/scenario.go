package main

import (
	"github.com/stsbackup/stsbackup/test/bench/dataset"
	"github.com/stsbackup/stsbackup/test/bench/report"
)

// Sizes of the data sets, in bytes and in files.
const (
	fileSize    = 512 << 20
	fileCount   = 1
	replicaSize = 160 << 20
	smallDirs   = 1000
	// warm is what a tool may take of memory for what it writes, and for itself.
	warm = fileSize + 256<<20
)

// scenario is a data set and what happens to it.
type scenario struct {
	// volumes are the names of the volumes.
	volumes  []string
	generate func(dirs []string) error
	steps    []step
}

// step is one backup, and a restore, of all volumes.
type step struct {
	name string
	// change is made to the data before, if it is not nil. Version tells apart changes that are made one after the
	// other.
	change func(dirs []string, version uint64) error
}

// name is that of the first step.
func (s scenario) name() string { return s.steps[0].name }

// scenarios are those of a comparison, with so many small files.
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
			steps:    []step{{name: report.SmallFiles}},
		},
	}
}
