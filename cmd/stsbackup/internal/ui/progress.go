package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// Screen says where progress is shown, and to whom.
type Screen struct {
	Out      io.Writer
	Format   Format
	Terminal bool // a person sits there: it can draw bars
	Now      func() time.Time
}

// Note writes a line for a person that is not a result: a warning, or what the command waits for.
func (s Screen) Note(message string) { fmt.Fprintln(s.Out, Plain(message)) }

// Packs returns a function that shows, on one line, how many packs have been read; nil if no person watches.
func (s Screen) Packs() func(packs, total int) {
	if s.Format != Text || !s.Terminal {
		return nil
	}
	return func(packs, total int) { fmt.Fprintf(s.Out, "\r%d of %d packs read", packs, total) }
}

// volumeLine is the progress of one volume of an operation, ready to be shown.
type volumeLine struct {
	claim, stage string
	// text is for people, in a few words; value is what is printed as JSON.
	text  string
	value any
	data  archive.Progress
	// moving: data grows, so not every line is worth showing. done and failed: there will be no more lines.
	moving, done, failed bool
}

// volumePrinter shows notes and volumes while an operation runs: bars for a person, lines for a log, JSON lines for a
// program. Calls come one at a time. After close it draws nothing any more, and the caller can print the result.
type volumePrinter interface {
	note(message string)
	volume(volumeLine)
	close()
}

func newVolumePrinter(screen Screen, claims []string) volumePrinter {
	switch {
	case screen.Format == JSON:
		return &jsonPrinter{encoder: json.NewEncoder(screen.Out), now: screen.Now, seen: map[string]shown{}}
	case screen.Terminal:
		return &barPrinter{err: screen.Out, claims: claims, bars: map[string]*volumeBar{}}
	default:
		return &linePrinter{err: screen.Out, now: screen.Now, seen: map[string]shown{}}
	}
}

// How often to write lines about one volume's bytes.
const (
	linesEvery = 10 * time.Second
	jsonEvery  = time.Second
)

// shown is what was last shown about a volume.
type shown struct {
	stage, text string
	at          time.Time
}

// linePrinter writes a line whenever something changes, and now and then while data moves.
type linePrinter struct {
	err  io.Writer
	now  func() time.Time
	seen map[string]shown
}

func (p *linePrinter) note(message string) { fmt.Fprintln(p.err, Plain(message)) }

func (p *linePrinter) volume(v volumeLine) {
	last, now := p.seen[v.claim], p.now()
	if v.text == last.text || v.moving && v.stage == last.stage && now.Sub(last.at) < linesEvery {
		return
	}
	p.seen[v.claim] = shown{stage: v.stage, text: v.text, at: now}
	fmt.Fprintf(p.err, "%s: %s\n", v.claim, Plain(v.text))
}

func (p *linePrinter) close() {}

// jsonPrinter writes JSON lines: notes, every change of a volume's stage, and once a second how its data grows.
type jsonPrinter struct {
	encoder *json.Encoder
	now     func() time.Time
	seen    map[string]shown
}

func (p *jsonPrinter) note(message string) {
	_ = p.encoder.Encode(struct {
		Note string `json:"note"`
	}{message}) // whoever no longer reads progress does not need it
}

func (p *jsonPrinter) volume(v volumeLine) {
	last, now := p.seen[v.claim], p.now()
	if v.stage == last.stage && now.Sub(last.at) < jsonEvery {
		return
	}
	p.seen[v.claim] = shown{stage: v.stage, at: now}
	_ = p.encoder.Encode(v.value)
}

func (p *jsonPrinter) close() {}

// barPrinter draws a bar for each volume, starting with the first volume that it hears of.
type barPrinter struct {
	err      io.Writer
	claims   []string
	progress *mpb.Progress
	bars     map[string]*volumeBar
}

// volumeBar is one bar. The goroutine that draws reads the text beside it.
type volumeBar struct {
	bar  *mpb.Bar
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

func (p *barPrinter) note(message string) {
	if p.progress == nil {
		fmt.Fprintln(p.err, Plain(message))
		return
	}
	fmt.Fprintln(p.progress, Plain(message))
}

func (p *barPrinter) start() {
	p.progress = mpb.New(mpb.WithOutput(p.err), mpb.WithWidth(40))
	for _, claim := range p.claims {
		b := &volumeBar{}
		b.bar = p.progress.AddBar(0,
			mpb.PrependDecorators(decor.Name(claim, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Any(b.get)),
		)
		p.bars[claim] = b
	}
}

func (p *barPrinter) volume(v volumeLine) {
	if p.progress == nil {
		p.start()
	}
	b := p.bars[v.claim]
	if b == nil {
		return
	}
	b.set(Plain(v.text))
	switch {
	case v.done:
		b.bar.SetTotal(max(1, v.data.Bytes), false)
		b.bar.SetCurrent(max(1, v.data.Bytes))
		b.bar.SetTotal(-1, true)
	case v.failed:
		b.bar.Abort(false)
	default:
		b.bar.SetTotal(max(v.data.TotalBytes, v.data.Bytes+1), false)
		b.bar.SetCurrent(v.data.Bytes)
	}
}

func (p *barPrinter) close() {
	if p.progress == nil {
		return
	}
	for _, b := range p.bars {
		b.bar.Abort(false) // no effect on bars that are done
	}
	p.progress.Wait()
}
