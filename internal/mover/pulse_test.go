package mover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// A watched bucket is a bucket like any other.
func TestWatchedContract(t *testing.T) {
	t.Parallel()
	storagetest.Contract{Open: func(*testing.T) storage.Bucket { return new(Pulse).Watch(storagetest.NewMemory()) }}.Test(t)
}

// done counts the steps that do gets done.
func (p *Pulse) done(do func()) int64 {
	before := p.steps.Load()
	do()
	return p.steps.Load() - before
}

func TestPulseCountsWhatIsDone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	memory := storagetest.NewMemory()
	for _, name := range []string{"root/demo/web/config", "root/demo/web/index/a", "root/demo/web/index/b", "root/demo/web/locks/c"} {
		if err := memory.Put(ctx, name, bytes.Repeat([]byte("x"), 1000)); err != nil {
			t.Fatal(err)
		}
	}
	p := &Pulse{}
	good := p.Watch(memory)
	away := p.Watch(storagetest.NewFaulty(memory, storagetest.Fault{At: 1, Stop: true, Err: storage.ErrUnreachable}))
	all := func(b storage.Bucket, name string) func() {
		return func() {
			if body, err := b.Get(ctx, name, 0, -1); err == nil {
				_, _ = io.Copy(io.Discard, body)
				_ = body.Close()
			}
			_ = b.Put(ctx, name, []byte("data"))
			_, _ = b.Stat(ctx, name)
			_ = b.List(ctx, name, func(storage.Info) error { return nil })
			_ = b.Delete(ctx, name)
			_, _ = storage.Folders(ctx, b, "root/")
		}
	}
	for name, tt := range map[string]struct {
		do   func()
		some bool
	}{
		"all operations":         {all(good, "root/demo/web/index/a"), true},
		"what is not there":      {func() { _, _ = good.Stat(ctx, "root/demo/web/absent") }, true},
		"an entry of the volume": {p.Step, true},
		"a bucket that is away":  {all(away, "root/demo/web/index/b"), false},
		"the renewal of a lock": {
			func() { _ = good.Put(ctx, "root/demo/web/locks/d", nil); _ = good.Delete(ctx, "root/demo/web/locks/c") }, false,
		},
		"a look at the locks":          {func() { _ = good.List(ctx, "root/demo/web/locks/", func(storage.Info) error { return nil }) }, false},
		"a StatefulSet that is a lock": {func() { _ = good.Put(ctx, "root/demo/locks/data/ab/abc", nil) }, true},
		"nothing":                      {func() {}, false},
	} {
		if n := p.done(tt.do); n > 0 != tt.some {
			t.Errorf("%s: %d steps, want some: %t", name, n, tt.some)
		}
	}
	// A mover that waits for a lock only looks for locks meanwhile.
	look := func() { _ = good.List(ctx, "root/demo/web/locks/", func(storage.Info) error { return nil }) }
	p.Blocked()
	if n := p.done(look); n == 0 {
		t.Error("a mover that waits for a lock, and looks for it, stands still")
	}
	_, _ = good.Stat(ctx, "root/demo/web/config")
	if n := p.done(look); n > 0 {
		t.Error("a mover that has waited for a lock gets on by keeping its own")
	}
}

// flaky sends all of an object several times, and never stores it.
type flaky struct{ storage.Bucket }

func (f flaky) PutPaced(ctx context.Context, name string, data []byte, pace storage.Pace) error {
	for range 10 {
		for range len(data) / 100 {
			if err := pace(ctx, 100); err != nil {
				return err
			}
		}
	}
	return errors.New("never stored")
}

// Data that is sent again and again does not arrive.
func TestPulseCountsWhatIsSentOnce(t *testing.T) {
	t.Parallel()
	p := &Pulse{}
	bucket := p.Watch(flaky{storagetest.NewMemory()})
	paced := 0
	n := p.done(func() {
		_ = storage.PutPaced(t.Context(), bucket, "data", make([]byte, 1000), func(context.Context, int) error { paced++; return nil })
	})
	if n != 10 || paced != 100 {
		t.Errorf("%d steps for 10 parts that were sent 10 times; %d were paid for", n, paced)
	}
}

// slow is a bucket in which every request waits for permission.
type slow struct {
	storage.Bucket
	begun chan string
	leave chan struct{}
}

func (s slow) Put(ctx context.Context, name string, data []byte) error {
	s.begun <- name
	<-s.leave
	return s.Bucket.Put(ctx, name, data)
}

func TestPulseSaysWhatItIsAt(t *testing.T) {
	t.Parallel()
	p := &Pulse{}
	bucket := slow{storagetest.NewMemory(), make(chan string), make(chan struct{})}
	watched := p.Watch(bucket)
	doing := func() string {
		line, err := p.Beat()
		if err != nil {
			t.Fatal(err)
		}
		return Sign(line).Doing
	}
	if got := doing(); got != "no request to the bucket is under way" {
		t.Errorf("at rest: %q", got)
	}
	ended := make(chan error)
	for _, name := range []string{"data/first", "data/second"} {
		go func() { ended <- watched.Put(t.Context(), name, nil) }()
		<-bucket.begun
	}
	if got := doing(); got != "put data/first" {
		t.Errorf("with two requests under way: %q, want the older one", got)
	}
	close(bucket.leave)
	for range 2 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	body, err := watched.Get(t.Context(), "data/first", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if got := doing(); got != "get data/first" {
		t.Errorf("with an object half read: %q", got)
	}
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	if got := doing(); got != "no request to the bucket is under way" {
		t.Errorf("at the end: %q", got)
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	p := &Pulse{}
	p.Step()
	progress, err := p.Progress(archive.Progress{Files: 3, Bytes: 4096, TotalFiles: 9})
	if err != nil {
		t.Fatal(err)
	}
	beat, err := p.Beat()
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := EncodeWaiting("Waiting for a lock")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]cluster.Sign{
		string(progress):        {Mark: "1", Doing: "3 files and 4096 bytes are done"},
		string(beat):            {Mark: "1", Doing: "no request to the bucket is under way"},
		string(waiting):         {Doing: "Waiting for a lock"},
		`{"files":3,"bytes":7}`: {Doing: "3 files and 7 bytes are done"}, // from a version that does not count
		"words":                 {},
		"":                      {},
		"[1]":                   {},
	} {
		if got := Sign([]byte(line)); got != want {
			t.Errorf("%s says %+v, want %+v", line, got, want)
		}
	}
	if got, ok := Progress(progress); !ok || got.Files != 3 || got.Bytes != 4096 || got.TotalFiles != 9 {
		t.Errorf("progress %+v, %t", got, ok)
	}
	for _, line := range [][]byte{beat, waiting} {
		if _, ok := Progress(line); ok {
			t.Errorf("%s is taken for progress", line)
		}
		if Waiting(line) != "" && string(line) != string(waiting) {
			t.Errorf("%s is taken for a wait", line)
		}
	}
	if !json.Valid(beat) || strings.Contains(string(beat), "\n") {
		t.Errorf("a beat is no line: %q", beat)
	}
}
