package mover

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// A mover reports progress even while nothing of its volume gets done, and is silent when there is no progress.
func TestMoverSaysThatItGetsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		voice := NewVoice(&out, time.Now)
		end := voice.Begin(t.Context())
		bucket := voice.Watch(storagetest.NewMemory())
		pass := func(seconds int, do func()) (marks []string) {
			out.Reset()
			for range seconds {
				do()
				time.Sleep(time.Second) //nolint:forbidigo // the clock of the bubble
				synctest.Wait()
			}
			for line := range strings.Lines(out.String()) {
				marks = append(marks, Sign([]byte(line)).Mark)
			}
			return marks
		}
		read := func() { _ = bucket.List(t.Context(), "index/", func(storage.Info) error { return nil }) }
		time.Sleep(time.Millisecond) //nolint:forbidigo // the clock of the bubble, to be out of step
		if got, want := pass(20, read), []string{"5", "10", "15", "20"}; !slices.Equal(got, want) {
			t.Errorf("while it reads the index: %q, want %q", got, want)
		}
		if got := pass(60, func() {}); len(got) > 0 {
			t.Errorf("while nothing is done: %q", got)
		}
		files := int64(0)
		if got := pass(20, func() { files++; voice.Report(archive.Progress{Files: files}) }); len(got) != 20 || got[19] != "40" {
			t.Errorf("while files are done: %q, want one a second", got)
		}
		end()
		if got := pass(20, read); len(got) > 0 {
			t.Errorf("when it has ended: %q", got)
		}
	})
}
