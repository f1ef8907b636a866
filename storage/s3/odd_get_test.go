package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest/odds3"
)

// TestDownloadsOfOddServers: whatever an answer omits (its length, its tag, its end), and wherever it breaks, Get
// delivers the object.
func TestDownloadsOfOddServers(t *testing.T) {
	t.Parallel()
	tag := func(text string) func(string) string { return func(string) string { return text } }
	oddities := map[string]odds3.Odds{
		"no length": {NoLength: true}, "closed at the end": {CloseDelimited: true},
		"no tag": {ETag: tag("")}, "weak tag": {ETag: tag(`W/"1"`)}, "bare tag": {ETag: tag("1")}, "refuses If-Match": {DistrustsMatch: true},
	}
	for what, odds := range oddities {
		for _, breaks := range []int{0, 3000} {
			t.Run(fmt.Sprintf("%s, breaks after %d", what, breaks), func(t *testing.T) {
				t.Parallel()
				s, bucket := newOdd(t)
				data := noise(10_000)
				for name, content := range map[string][]byte{"object": data, "empty": nil} {
					if err := bucket.Put(t.Context(), name, content); err != nil {
						t.Fatal(err)
					}
				}
				odds := odds
				odds.BreakAfter = breaks
				s.Set(odds)
				for _, part := range []struct{ offset, length int64 }{{0, -1}, {0, 10_000}, {5, 8000}, {100, -1}, {10_000, -1}, {3, 0}} {
					end := part.offset + part.length
					if part.length < 0 {
						end = 10_000
					}
					if got, err := readAll(t, bucket, "object", part.offset, part.length); err != nil || !bytes.Equal(got, data[part.offset:end]) {
						t.Errorf("%+v: %d bytes, %v", part, len(got), err)
					}
				}
				if got, err := readAll(t, bucket, "empty", 0, -1); err != nil || len(got) > 0 {
					t.Errorf("an empty object: %q, %v", got, err)
				}
				if _, err := bucket.Get(t.Context(), "object", 9000, 1001); !errors.Is(err, storage.ErrRange) {
					t.Errorf("beyond the end: %v", err)
				}
			})
		}
	}
}

func readAll(t *testing.T, bucket storage.Bucket, name string, offset, length int64) ([]byte, error) {
	t.Helper()
	body, err := bucket.Get(t.Context(), name, offset, length)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// TestReplacedBehindWeakTags: if tags do not distinguish versions, size or time do.
func TestReplacedBehindWeakTags(t *testing.T) {
	t.Parallel()
	for what, tag := range map[string]string{"no tag": "", "weak tag": "W/"} {
		data := bytes.Repeat([]byte("0123456789"), 1000)
		b := newBroken(t, func(n int, w http.ResponseWriter, r *http.Request) {
			if tag != "" {
				serve(w, r, data, fmt.Sprintf(`%s"%d"`, tag, n), 100)
			} else {
				serve(w, r, data[:len(data)-n], "", 100)
			}
		})
		_, err := readAll(t, b.Bucket, "object", 0, -1)
		if !errors.Is(err, errReplaced) || !strings.Contains(err.Error(), "read it again") || b.requests.Load() != 2 {
			t.Errorf("%s: %v after %d requests", what, err, b.requests.Load())
		}
	}
}

// TestAnswersWithoutATime: a server that gives no times has objects of unknown age, which are readable.
func TestAnswersWithoutATime(t *testing.T) {
	t.Parallel()
	data := []byte("some data")
	b := newBroken(t, func(_ int, w http.ResponseWriter, r *http.Request) { serve(untimed{w}, r, data, `"1"`, -1) })
	if got, err := readAll(t, b.Bucket, "object", 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%q, %v", got, err)
	}
	if info, err := b.Stat(t.Context(), "object"); err != nil || !info.Modified.IsZero() || info.Size != int64(len(data)) {
		t.Errorf("%+v, %v", info, err)
	}
}
