package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/stsbackup/stsbackup/test/bench/dataset"
	"github.com/stsbackup/stsbackup/test/bench/measure"
	"github.com/stsbackup/stsbackup/test/bench/report"
	"github.com/stsbackup/stsbackup/test/bench/tool"
)

// volumes are the volumes whose sizes are compared.
func volumes() []volume {
	pages := func(size int64) func(string) error {
		return func(dir string) error { return dataset.Pages(dir, 1, size) }
	}
	small := func(dirs, each int) func(string) error {
		return func(dir string) error { return dataset.Small(dir, dirs, each) }
	}
	return []volume{
		{"1 GiB in one file", "", pages(1 << 30)},
		{"10 GiB in one file", "1 GiB in one file", pages(10 << 30)},
		{"10,000 files in 1,000 directories", "", small(smallDirs, 10)},
		{"100,000 files in 1,000 directories", "", small(smallDirs, 100)}, // more than the index keeps in memory
		{"1,000,000 files in 1,000 directories", "100,000 files in 1,000 directories", small(smallDirs, 1000)},
	}
}

type volume struct {
	name     string
	smaller  string // the name of a volume a tenth as large, if that is large enough to fill what is kept in memory
	generate func(dir string) error
}

// measureMemory saves and restores volumes of very different sizes.
func (b *bench) measureMemory(ctx context.Context) error {
	ours := b.tools[0]
	about, err := b.about(ctx, b.tools[:1])
	if err != nil {
		return err
	}
	smaller := map[string]string{}
	for _, v := range volumes() {
		smaller[v.name] = v.smaller
		if !b.only.MatchString(v.name) {
			continue
		}
		if err := b.volume(ctx, v, ours); err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
	}
	about.Notes = append(about.Notes, fmt.Sprintf("The run took %s. Repositories are directories.", b.now().Sub(b.started).Round(time.Second)))
	return b.publish(report.MemoryTitle, report.Memory(about, b.samples.Rows([]string{ours.Name()}), smaller))
}

func (b *bench) volume(ctx context.Context, v volume, ours tool.Tool) error {
	work := filepath.Join(b.dir, "volume")
	defer os.RemoveAll(work) //nolint:errcheck // the run's folder is removed too
	data, repository := filepath.Join(work, "data"), tool.Repository{Dir: filepath.Join(work, "repository"), Home: filepath.Join(work, "home")}
	if err := os.MkdirAll(repository.Home, 0o755); err != nil {
		return fmt.Errorf("make a home: %w", err)
	}
	if err := v.generate(data); err != nil {
		return err
	}
	saved, err := measure.Run(ctx, ours.Backup(repository, "data-0", data), b.now, b.dir)
	if err != nil {
		return err
	}
	if saved.Stored, err = measure.Size(repository.Dir); err != nil {
		return err
	}
	// The disk need not hold the volume twice.
	if err := os.RemoveAll(data); err != nil {
		return fmt.Errorf("remove the data: %w", err)
	}
	restored, err := measure.Run(ctx, ours.Restore(repository, "data-0", data, data), b.now, b.dir)
	if err != nil {
		return err
	}
	r := &roundOf{bench: b}
	r.note(v.name, report.Backup, ours.Name(), saved)
	r.note(v.name, report.Restore, ours.Name(), restored)
	return nil
}
