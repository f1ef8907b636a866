package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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

// age is how old data must be before a tool saves it: if files were touched just now, no tool can tell whether they
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
	pool    *measure.Pool
	samples report.Samples
	version uint64    // of the last change to the data
	changed time.Time // when that change, or the data, was made
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
	all := slices.DeleteFunc(scenarios(smallFiles), func(s scenario) bool { return !b.only.MatchString(s.name()) })
	if err := b.generate(all); err != nil {
		return err
	}
	if b.pool, err = measure.NewPool(b.dir, needed(smallFiles)); err != nil {
		return err
	}
	defer b.pool.Close()
	if err := b.rounds(ctx, all); err != nil {
		return err
	}
	var names []string
	for _, t := range b.tools {
		names = append(names, t.Name())
	}
	about.Notes = append(
		about.Notes,
		fmt.Sprintf(
			"The run took %s. Times are medians of the rounds, memory is the peak of all rounds.",
			b.now().Sub(b.started).Round(time.Second),
		),
		fmt.Sprintf("Small files are %d, of 2 KiB on average; the other data sets are %d MiB each.", smallFiles, fileCount*fileSize>>20),
	)
	return b.publish(report.ComparisonTitle, report.Comparison(about, b.samples.Rows(names)))
}

// publish prints a report, and writes it into the document if there is one.
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

// generate makes the data of all scenarios, once for all rounds.
func (b *bench) generate(all []scenario) error {
	for _, s := range all {
		if err := s.generate(s.dirs(b.data())); err != nil {
			return err
		}
	}
	b.changed = b.now()
	return nil
}

func (b *bench) data() string { return filepath.Join(b.dir, "data") }

// rounds measures all scenarios once, and then again as often as the options ask for and the time allows.
func (b *bench) rounds(ctx context.Context, all []scenario) error {
	took := make([]time.Duration, len(all))
	for round := range b.options.rounds {
		for i, s := range all {
			started := b.now()
			if round > 0 && (s.once || started.Add(took[i]).After(b.started.Add(b.limit))) {
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
	anew, err := b.pool.Check()
	if err != nil {
		return err
	}
	if anew {
		fmt.Fprintf(b.out, "%6.0fs  memory had become slow: took what is needed anew\n", b.now().Sub(b.started).Seconds())
	}
	for _, place := range []string{inDirectory, inBucket} {
		r := &roundOf{bench: b, scenario: s, place: place, number: round, dirs: s.dirs(b.data())}
		if err := r.run(ctx); err != nil {
			return err
		}
	}
	return nil
}
