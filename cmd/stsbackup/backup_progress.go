package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/stsbackup/stsbackup/backup"
)

// backupReporter shows a backup under way. After close nothing is drawn any more, and the result can be printed.
type backupReporter interface {
	backup.Reporter
	close()
}

func newBackupReporter(a *app, output outputFlag, dryRun bool) backupReporter {
	plans := planPrinter{out: a.err, output: output}
	if dryRun {
		plans.out = a.out // the plan is the result
	}
	switch {
	case output == outputJSON:
		return &jsonReporter{planPrinter: plans, dryRun: dryRun, encoder: json.NewEncoder(a.err), now: a.now, last: map[string]time.Time{}}
	case a.terminal && !dryRun:
		return &barReporter{planPrinter: plans, bars: map[string]*volumeBar{}, err: a.err}
	default:
		return &lineReporter{planPrinter: plans, err: a.err, now: a.now, seen: map[string]lineState{}}
	}
}

// planPrinter shows the plan.
type planPrinter struct {
	out    io.Writer
	output outputFlag
}

// Planned prints the plan. If it cannot be printed, nothing else can be, either.
func (p planPrinter) Planned(plan *backup.Plan) {
	_ = printPlan(p.out, p.output, plan)
	if p.output == outputText {
		fmt.Fprintln(p.out)
	}
}

// progressEvery is how often lines about one volume's bytes are written.
const (
	progressEvery     = 10 * time.Second
	jsonProgressEvery = time.Second
)

// lineReporter writes a line whenever a volume gets to another stage, and some in between.
type lineReporter struct {
	planPrinter
	err  io.Writer
	now  func() time.Time
	seen map[string]lineState
}

type lineState struct {
	stage   backup.Stage
	waiting string
	at      time.Time
}

// Note prints the message.
func (r *lineReporter) Note(message string) { fmt.Fprintln(r.err, message) }

// Volume prints what has changed.
func (r *lineReporter) Volume(p backup.Progress) {
	last, now := r.seen[p.Claim], r.now()
	if p.Stage == last.stage && p.Waiting == last.waiting && now.Sub(last.at) < progressEvery {
		return
	}
	if p.Stage == last.stage && p.Waiting == "" && p.Stage != backup.StageMove {
		return
	}
	r.seen[p.Claim] = lineState{stage: p.Stage, waiting: p.Waiting, at: now}
	fmt.Fprintf(r.err, "%s: %s\n", p.Claim, stageText(p))
}

func (r *lineReporter) close() {}

// stageText says in a few words where a volume is.
func stageText(p backup.Progress) string {
	switch p.Stage {
	case backup.StageCapture:
		return "taking a VolumeSnapshot"
	case backup.StageWait:
		return "waiting for its turn"
	case backup.StagePrepare:
		if p.Waiting != "" {
			return "the mover waits: " + p.Waiting
		}
		return "preparing the mover"
	case backup.StageMove:
		if p.Data.Bytes == 0 {
			return "copying"
		}
		return fmt.Sprintf("copying, %s in %s so far", humanBytes(p.Data.Bytes), countOf(p.Data.Files, "file"))
	case backup.StageDone:
		return fmt.Sprintf("saved, %s in %s", humanBytes(p.Data.Bytes), countOf(p.Data.Files, "file"))
	case backup.StageFailed:
		return "FAILED: " + p.Error
	default:
		return string(p.Stage)
	}
}

// countOf writes a number of things: 1 file, 2 files.
func countOf(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// jsonReporter writes JSON lines: notes, and the progress of each volume once a second at most, but every change of
// its stage.
type jsonReporter struct {
	planPrinter
	dryRun  bool
	encoder *json.Encoder
	now     func() time.Time
	last    map[string]time.Time
	stages  sync.Map
}

// Planned prints the plan only where it is the result: JSON on standard error is lines of progress.
func (r *jsonReporter) Planned(plan *backup.Plan) {
	if r.dryRun {
		r.planPrinter.Planned(plan)
	}
}

// Note writes the message.
func (r *jsonReporter) Note(message string) {
	_ = r.encoder.Encode(struct {
		Note string `json:"note"`
	}{message})
}

// Volume writes the progress.
func (r *jsonReporter) Volume(p backup.Progress) {
	stage, known := r.stages.Swap(p.Claim, p.Stage)
	if now := r.now(); !known || stage != p.Stage || now.Sub(r.last[p.Claim]) >= jsonProgressEvery {
		r.last[p.Claim] = now
		_ = r.encoder.Encode(p)
	}
}

func (r *jsonReporter) close() {}

// barReporter draws a bar for each volume.
type barReporter struct {
	planPrinter
	err      io.Writer
	progress *mpb.Progress
	bars     map[string]*volumeBar
}

// volumeBar is one bar. The text beside it is read by the goroutine that draws.
type volumeBar struct {
	bar  *mpb.Bar
	size int64 // of the volume: the most there can be to copy
	mu   sync.Mutex
	text string
}

func (b *volumeBar) set(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = text
}

func (b *volumeBar) get(decor.Statistics) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text
}

// Planned prints the plan and makes the bars.
func (r *barReporter) Planned(plan *backup.Plan) {
	r.planPrinter.Planned(plan)
	r.progress = mpb.New(mpb.WithOutput(r.err), mpb.WithWidth(40))
	for _, volume := range plan.Volumes {
		b := &volumeBar{size: volume.Size}
		b.bar = r.progress.AddBar(0,
			mpb.PrependDecorators(decor.Name(volume.Claim, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Any(b.get)),
		)
		r.bars[volume.Claim] = b
	}
}

// Note prints the message above the bars.
func (r *barReporter) Note(message string) {
	if r.progress == nil {
		fmt.Fprintln(r.err, message)
		return
	}
	fmt.Fprintln(r.progress, message)
}

// Volume moves the bar.
func (r *barReporter) Volume(p backup.Progress) {
	b := r.bars[p.Claim]
	if b == nil {
		return
	}
	b.set(stageText(p))
	switch p.Stage {
	case backup.StageDone:
		b.bar.SetTotal(max(1, p.Data.Bytes), false)
		b.bar.SetCurrent(max(1, p.Data.Bytes))
		b.bar.SetTotal(-1, true)
	case backup.StageFailed:
		b.bar.Abort(false)
	default:
		total := p.Data.TotalBytes
		if total == 0 {
			total = b.size
		}
		b.bar.SetTotal(max(total, p.Data.Bytes+1), false)
		b.bar.SetCurrent(p.Data.Bytes)
	}
}

func (r *barReporter) close() {
	if r.progress == nil {
		return
	}
	for _, b := range r.bars {
		b.bar.Abort(false) // no effect on those that are done
	}
	r.progress.Wait()
	fmt.Fprintln(r.err)
}
