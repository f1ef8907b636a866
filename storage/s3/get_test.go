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
)

func TestBrokenDownloadsAreTakenUpAgain(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	for _, span := range []struct{ offset, length int64 }{{0, -1}, {0, int64(len(data))}, {777, 50_000}, {777, -1}} {
		b := newBroken(t, func(n int, w http.ResponseWriter, r *http.Request) {
			if n%2 == 0 {
				refuse(w, 503, "SlowDown")
				return
			}
			serve(w, r, data, `"1"`, 7001)
		})
		reader, err := b.Get(t.Context(), "object", span.offset, span.length)
		if err != nil {
			t.Fatal(err)
		}
		want := data[span.offset:]
		if span.length >= 0 {
			want = want[:span.length]
		}
		got, err := io.ReadAll(reader)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("Get(%d, %d): %d of %d bytes, %v", span.offset, span.length, len(got), len(want), err)
		}
		if n := int(b.requests.Load()); n < len(want)/7001 {
			t.Errorf("only %d requests: nothing has broken", n)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
		if _, err := reader.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("Read after Close: %v", err)
		}
	}
}

func TestBrokenDownloadsThatStayBroken(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 1000)
	for name, test := range map[string]struct {
		handle func(n int, w http.ResponseWriter, r *http.Request)
		want   error
		says   string
	}{
		"nothing more comes": {
			func(n int, w http.ResponseWriter, r *http.Request) {
				if n == 1 {
					serve(w, r, data, `"1"`, 100)
				} else {
					hangUp(t, w)
				}
			}, storage.ErrUnreachable, "after 10 attempts",
		},
		"replaced meanwhile": {
			func(n int, w http.ResponseWriter, r *http.Request) { serve(w, r, data, fmt.Sprintf(`"%d"`, n), 100) },
			nil, "was replaced while it was being read",
		},
		"deleted meanwhile": {
			func(n int, w http.ResponseWriter, r *http.Request) {
				if n == 1 {
					serve(w, r, data, `"1"`, 100)
				} else {
					refuse(w, 404, "NoSuchKey")
				}
			}, storage.ErrNotExist, "no such object",
		},
		"versions cannot be told apart": {
			func(_ int, w http.ResponseWriter, r *http.Request) { serve(untimed{w}, r, data, "", 100) },
			storage.ErrUnreachable, "the connection to",
		},
		"ranges are ignored": {
			func(n int, w http.ResponseWriter, r *http.Request) {
				if n > 1 {
					r.Header.Del("Range")
				}
				serve(w, r, data, `"1"`, 100)
			}, nil, "does not answer with the range",
		},
	} {
		b := newBroken(t, test.handle)
		reader, err := b.Get(t.Context(), "object", 0, -1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(reader)
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %d bytes and %v; want %v that says %q", name, len(got), err, test.want, test.says)
		}
		if !bytes.HasPrefix(data, got) {
			t.Errorf("%s: what was read before is not the object's", name)
		}
	}
}

// untimed removes the time from an answer.
type untimed struct{ http.ResponseWriter }

func (u untimed) WriteHeader(status int) {
	u.Header().Del("Last-Modified")
	u.ResponseWriter.WriteHeader(status)
}

// A server that clips a range at the object's end must not make a Get short.
func TestClippedRangeIsAnError(t *testing.T) {
	t.Parallel()
	b := newBroken(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 2-3/4")
		w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 11:00:00 GMT")
		w.Header().Set("Content-Length", "2")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write([]byte("ta"))
	})
	if _, err := b.Get(t.Context(), "object", 2, 10); !errors.Is(err, storage.ErrRange) {
		t.Errorf("Get: %v, want %v", err, storage.ErrRange)
	}
}
