package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/stsbackup/stsbackup/test/bench/measure"
	"github.com/stsbackup/stsbackup/test/bench/report"
	"github.com/stsbackup/stsbackup/test/bench/tool"
)

// roundOf is one round of a scenario at one place.
type roundOf struct {
	*bench
	scenario
	place        string
	number       int
	dirs         []string
	repositories map[string]tool.Repository // by the tools' names
}

func (r *roundOf) run(ctx context.Context) error {
	defer r.clean()
	if err := r.init(ctx); err != nil {
		return err
	}
	for step, s := range r.steps {
		if s.change != nil {
			r.version++
			if err := s.change(r.dirs, r.version); err != nil {
				return err
			}
			r.changed = r.now()
		}
		if err := r.settle(ctx); err != nil {
			return err
		}
		for i := range r.tools {
			t := r.tools[(i+r.number)%len(r.tools)]
			if err := r.measure(ctx, s, t); err != nil {
				return err
			}
			if step == len(r.steps)-1 {
				r.remove(t) // the next one needs its memory
			}
		}
	}
	return nil
}

// init makes an empty repository for each tool.
func (r *roundOf) init(ctx context.Context) error {
	r.repositories = map[string]tool.Repository{}
	for _, t := range r.tools {
		repository := tool.Repository{Dir: filepath.Join(r.dir, "repositories", t.Name()), Home: filepath.Join(r.dir, "homes", t.Name())}
		if r.place == inBucket {
			s3 := r.server.S3
			s3.Prefix = t.Name()
			repository.S3, repository.Dir = &s3, filepath.Join(r.server.Dir, t.Name())
		}
		r.repositories[t.Name()] = repository
		if err := os.MkdirAll(repository.Home, 0o755); err != nil {
			return fmt.Errorf("make a home: %w", err)
		}
		if r.place == inDirectory {
			if err := os.MkdirAll(repository.Dir, 0o755); err != nil {
				return fmt.Errorf("make a repository: %w", err)
			}
		}
		for _, command := range t.Init(repository) {
			if _, err := measure.Run(ctx, command, r.now, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// clean removes what the round has left.
func (r *roundOf) clean() {
	for _, t := range r.tools {
		r.remove(t)
	}
}

// remove removes the repository of a tool, and what the tool keeps beside it.
func (r *roundOf) remove(t tool.Tool) {
	_ = os.RemoveAll(r.repositories[t.Name()].Dir) // what cannot be removed goes with the run's folder
	_ = os.RemoveAll(r.repositories[t.Name()].Home)
}

// settle waits until the data is old enough, and until nothing is left to be written.
func (r *roundOf) settle(ctx context.Context) error {
	timer := time.NewTimer(r.changed.Add(age).Sub(r.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return measure.Sync(r.dir)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// measure lets one tool save and restore all volumes.
func (r *roundOf) measure(ctx context.Context, s step, t tool.Tool) error {
	saved, err := r.save(ctx, t)
	if err != nil {
		return err
	}
	r.note(s.name, report.Backup, t.Name(), saved)
	if !s.backupOnly {
		restored, err := r.restore(ctx, t)
		if err != nil {
			return err
		}
		r.note(s.name, report.Restore, t.Name(), restored)
	}
	return measure.Sync(r.dir)
}

func (r *roundOf) save(ctx context.Context, t tool.Tool) (total measure.Usage, err error) {
	repository := r.repositories[t.Name()]
	before, err := measure.Size(repository.Dir)
	if err != nil {
		return total, err
	}
	for i, volume := range r.volumes {
		usage, err := measure.Run(ctx, t.Backup(repository, volume, r.dirs[i]), r.now, r.dir)
		if err != nil {
			return total, err
		}
		total = total.Add(usage)
	}
	after, err := measure.Size(repository.Dir)
	total.Stored = after - before
	return total, err
}

func (r *roundOf) restore(ctx context.Context, t tool.Tool) (total measure.Usage, err error) {
	target := filepath.Join(r.dir, "restored")
	for i, volume := range r.volumes {
		usage, err := measure.Run(ctx, t.Restore(r.repositories[t.Name()], volume, r.dirs[i], target), r.now, r.dir)
		if err == nil && r.number == 0 {
			err = measure.Same(r.dirs[i], target)
		}
		if removeErr := os.RemoveAll(target); err == nil {
			err = removeErr
		}
		if err != nil {
			return total, err
		}
		total = total.Add(usage)
	}
	return total, nil
}

// note stores a measurement, and prints it.
func (r *roundOf) note(data, operation, name string, usage measure.Usage) {
	r.samples.Add(report.Key{Place: r.place, Data: data, Operation: operation}, name, usage)
	fmt.Fprintf(r.out, "%6.0fs  round %d  %-27s  %-20s  %-7s  %-9s  wall %6.2f s  CPU %6.2f s  peak %4d MiB  stored %7.1f MiB\n",
		r.now().Sub(r.started).Seconds(), r.number+1, r.place, data, operation, name,
		usage.Wall.Seconds(), usage.CPU.Seconds(), usage.RSS>>20, float64(usage.Stored)/(1<<20))
}
