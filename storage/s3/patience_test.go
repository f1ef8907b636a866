package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestWholeOperationsThroughStalls makes one request of each kind stand still.
func TestWholeOperationsThroughStalls(t *testing.T) {
	t.Parallel()
	s := newSite(t, startVersitygw(t), 500*time.Millisecond)
	stood := map[string]bool{}
	s.proxy.meet(standStill, func(kind string, _ bool) bool {
		first := !stood[kind]
		stood[kind] = true
		return first
	})
	if err := newJob(t, s.faulty, "stalls").life(t.Context()); err != nil {
		t.Error(err)
	}
	s.metByAll(t, "stalls")
	s.judge(t, "stalls")
}

// TestSilence makes the server fall silent for good: every operation ends, and says what it was waiting for.
func TestSilence(t *testing.T) {
	t.Parallel()
	s := newSite(t, startVersitygw(t), 100*time.Millisecond)
	j := newJob(t, s.direct, "silence")
	if err := steps(t.Context(), j.init, j.backup); err != nil {
		t.Fatal(err)
	}
	part, err := storage.Sub(s.faulty, "silence")
	if err != nil {
		t.Fatal(err)
	}
	s.proxy.meet(standStill, func(string, bool) bool { return true })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // ten attempts take a second, or two
	defer cancel()
	_, openErr := repository.Open(ctx, part, repoPassword, repository.Options{})
	_, foldersErr := storage.Folders(ctx, part, "")
	for what, err := range map[string]error{
		"config":   openErr,
		"silence/": foldersErr,
		"data/new": part.Put(ctx, "data/new", noise(8<<20)), // more than the sockets take while nobody reads it
		"locks":    part.List(ctx, "locks/", func(storage.Info) error { return nil }),
		"index/1":  part.Delete(ctx, "index/1"),
	} {
		if !errors.Is(err, storage.ErrUnreachable) || !strings.Contains(err.Error(), what) ||
			!strings.Contains(err.Error(), "in time after 10 attempts") {
			t.Errorf("%s in a bucket that is silent: %v", what, err)
		}
	}
	s.judge(t, "silence")
}

// TestSlowIsNotStill moves an object that takes longer, each way, than anybody would wait for one that stands still.
func TestSlowIsNotStill(t *testing.T) {
	t.Parallel()
	const patience = time.Second
	s := newSite(t, startVersitygw(t), patience)
	s.proxy.meet(crawl, func(string, bool) bool { return true })
	data := noise(8 << 20)
	begun := time.Now()
	if err := s.faulty.Put(t.Context(), "object", data); err != nil {
		t.Fatal(err)
	}
	sent := time.Since(begun)
	body, err := s.faulty.Get(t.Context(), "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
	}
	if read := time.Since(begun) - sent; sent < patience || read < patience {
		t.Errorf("the line is not slow: sent in %s, read in %s", sent, read)
	}
}
