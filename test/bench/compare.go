package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/stsbackup/stsbackup/test/bench/measure"
	"github.com/stsbackup/stsbackup/test/bench/report"
	"github.com/stsbackup/stsbackup/test/bench/server"
	"github.com/stsbackup/stsbackup/test/bench/tool"
)

// Places of a repository.
const (
	inDirectory = "to a directory"
	inBucket    = "to an S3 server on loopback"
)

// age is how old data must be before it is saved: of files that were touched just now no tool can tell whether they
// have changed since.
const age = 3 * time.Second

// bench is one run of the benchmark.
type bench struct {
	options
	dir     string
	out     io.Writer
	now     func() time.Time
	started time.Time
	tools   []tool.Tool

	server  *server.Server
	samples report.Samples
	version uint64 // of the last change to the data
}

// compare measures all tools with all data sets.
func (b *bench) compare(ctx context.Context) error {
	about, err := b.about(ctx, b.tools)
	if err != nil {
		return err
	}
	if b.server, err = server.Start(ctx, b.options.server, filepath.Join(b.dir, "server")); err != nil {
		return err
	}
	defer b.server.Stop()
	smallFiles := 200_000
	if b.full {
		smallFiles = 1_000_000
	}
	if err := b.rounds(ctx, scenarios(smallFiles)); err != nil {
		return err
	}
	var names []string
	for _, t := range b.tools {
		names = append(names, t.Name())
	}
	about.Notes = append(about.Notes, fmt.Sprintf("The run took %s. Times are medians of the rounds, memory is the peak of all rounds.", b.now().Sub(b.started).Round(time.Second)),
		fmt.Sprintf("Small files are %d, of 2 KiB on average; the other data sets are %d MiB each.", smallFiles, fileCount*fileSize>>20))
	return b.publish(report.ComparisonTitle, report.Comparison(about, b.samples.Rows(names)))
}

// publish prints a report, and puts it into the document if there is one.
func (b *bench) publish(title, text string) error {
	fmt.Fprintf(b.out, "\n%s", text)
	if b.document == "" {
		return nil
	}
	old, err := os.ReadFile(b.document)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("read the last results: %w", err)
	}
	if err := os.WriteFile(b.document, []byte(report.Replace(string(old), title, text)), 0o644); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}

// rounds measures all scenarios once, and then again as often as was asked for and the time allows.
func (b *bench) rounds(ctx context.Context, all []scenario) error {
	took := make([]time.Duration, len(all))
	for round := range b.options.rounds {
		for i, s := range all {
			started := b.now()
			if !b.only.MatchString(s.name()) || round > 0 && started.Add(took[i]).After(b.started.Add(b.limit)) {
				continue
			}
			if err := b.scenario(ctx, s, round); err != nil {
				return fmt.Errorf("%s: %w", s.name(), err)
			}
			took[i] = b.now().Sub(started)
		}
	}
	return nil
}

// scenario measures all tools with one data set, in one round.
func (b *bench) scenario(ctx context.Context, s scenario, round int) error {
	var dirs []string
	for _, volume := range s.volumes {
		dirs = append(dirs, filepath.Join(b.dir, "data", volume))
	}
	defer os.RemoveAll(filepath.Join(b.dir, "data")) //nolint:errcheck // the run's folder is removed too
	if err := s.generate(dirs); err != nil {
		return err
	}
	for _, place := range []string{inDirectory, inBucket} {
		r := &roundOf{bench: b, scenario: s, place: place, number: round, dirs: dirs}
		if err := r.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

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
	for _, s := range r.steps {
		if s.change != nil {
			r.version++
			if err := s.change(r.dirs, r.version); err != nil {
				return err
			}
		}
		if err := r.settle(ctx); err != nil {
			return err
		}
		for i := range r.tools {
			t := r.tools[(i+r.number)%len(r.tools)]
			if err := r.measure(ctx, s.name, t); err != nil {
				return err
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
	for _, repository := range r.repositories {
		_ = os.RemoveAll(repository.Dir) // what cannot be removed goes with the run's folder
		_ = os.RemoveAll(repository.Home)
	}
}

// settle waits until the data is old enough, and until nothing is left to be written.
func (r *roundOf) settle(ctx context.Context) error {
	timer := time.NewTimer(age)
	defer timer.Stop()
	select {
	case <-timer.C:
		return measure.Sync(r.dir)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// measure lets one tool save and restore all volumes.
func (r *roundOf) measure(ctx context.Context, data string, t tool.Tool) error {
	saved, err := r.save(ctx, t)
	if err != nil {
		return err
	}
	r.note(data, report.Backup, t.Name(), saved)
	restored, err := r.restore(ctx, t)
	if err != nil {
		return err
	}
	r.note(data, report.Restore, t.Name(), restored)
	return measure.Sync(r.dir)
}

func (r *roundOf) save(ctx context.Context, t tool.Tool) (total measure.Usage, err error) {
	repository := r.repositories[t.Name()]
	before, err := measure.Size(repository.Dir)
	if err != nil {
		return total, err
	}
	for i, volume := range r.volumes {
		if err := measure.Warm(r.dir, warm); err != nil {
			return total, err
		}
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
		if err := measure.Warm(r.dir, warm); err != nil {
			return total, err
		}
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

// note keeps a measurement, and says what it was.
func (r *roundOf) note(data, operation, name string, usage measure.Usage) {
	r.samples.Add(report.Key{Place: r.place, Data: data, Operation: operation}, name, usage)
	fmt.Fprintf(r.out, "%6.0fs  round %d  %-27s  %-20s  %-7s  %-9s  wall %6.2f s  CPU %6.2f s  peak %4d MiB  stored %7.1f MiB\n",
		r.now().Sub(r.started).Seconds(), r.number+1, r.place, data, operation, name,
		usage.Wall.Seconds(), usage.CPU.Seconds(), usage.RSS>>20, float64(usage.Stored)/(1<<20))
}
