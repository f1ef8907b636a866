package report

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// busy is a Reporter that notices if two calls overlap.
type busy struct {
	inside atomic.Int32
	met    atomic.Bool
	told   []string
}

func (b *busy) say(what string) {
	if b.inside.Add(1) > 1 {
		b.met.Store(true)
	}
	b.told = append(b.told, what)
	b.inside.Add(-1)
}

func (b *busy) Phase(p Phase)     { b.say("phase " + string(p)) }
func (b *busy) Note(text string)  { b.say("note " + text) }
func (b *busy) Warn(text string)  { b.say("warn " + text) }
func (b *busy) Volume(p Progress) { b.say(fmt.Sprintf("%s %s", p.Claim, p.Stage)) }

// TestSerial: calls from several goroutines arrive complete, and one at a time.
func TestSerial(t *testing.T) {
	told := &busy{}
	serial := NewSerial(told)
	const each = 100
	var group sync.WaitGroup
	for range each {
		group.Go(func() { serial.Phase("move") })
		group.Go(func() { serial.Note("n") })
		group.Go(func() { serial.Warn("w") })
		group.Go(func() { serial.Volume(Progress{Claim: "c", Stage: StageDone}) })
	}
	group.Wait()
	if told.met.Load() {
		t.Error("two calls came at once")
	}
	for _, want := range []string{"phase move", "note n", "warn w", "c done"} {
		if n := len(slices.DeleteFunc(slices.Clone(told.told), func(s string) bool { return s != want })); n != each {
			t.Errorf("%q came %d times, want %d", want, n, each)
		}
	}
}

func TestMoving(t *testing.T) {
	for stage, want := range map[Stage]bool{
		StageCapture: false, StageWait: false, StagePrepare: false, StageMove: true, StageFill: true, StageDone: false, StageFailed: false,
	} {
		if stage.Moving() != want {
			t.Errorf("%s", stage)
		}
	}
}
