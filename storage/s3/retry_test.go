package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/internal/wait"
	"github.com/stsbackup/stsbackup/storage"
)

// broken is a server that answers as its test says, and a bucket there whose pauses take no time.
type broken struct {
	*Bucket
	requests atomic.Int32

	mu     sync.Mutex
	pauses []time.Duration
}

// newBroken makes a server that passes its n-th request, counted from 1, to handle.
func newBroken(t *testing.T, handle func(n int, w http.ResponseWriter, r *http.Request)) *broken {
	t.Helper()
	b := &broken{}
	httpServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle(int(b.requests.Add(1)), w, r)
	}))
	t.Cleanup(httpServer.Close)
	s := &server{endpoint: httpServer.URL, style: PathStyle}
	config := s.config("bucket")
	config.Region = "us-east-1"
	b.Bucket = s.open(t, config, asRoot)
	b.wait = func(_ context.Context, length time.Duration) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.pauses = append(b.pauses, length)
		return nil
	}
	b.random = func() float64 { return 0.5 }
	return b
}

// refuse answers with an S3 error.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as planned</Message></Error>", code)
}

// serve answers a GET with its range of data. If send is not negative, it sends only that many bytes.
func serve(w http.ResponseWriter, r *http.Request, data []byte, etag string, send int) {
	first, last := 0, len(data)-1
	status := http.StatusOK
	if text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
		from, to, _ := strings.Cut(text, "-")
		first, _ = strconv.Atoi(from)
		if to != "" {
			last, _ = strconv.Atoi(to)
		}
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(data)))
	}
	if match := r.Header.Get("If-Match"); match != "" && match != etag {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	body := data[first : last+1]
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 11:00:00 GMT")
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	w.WriteHeader(status)
	if send < 0 || send > len(body) {
		send = len(body)
	}
	_, _ = w.Write(body[:send])
}

// hangUp resets the connection in the middle of a request.
func hangUp(t *testing.T, w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}

func TestTransientFailuresAreRetried(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(http.ResponseWriter){
		"503 SlowDown":        func(w http.ResponseWriter) { refuse(w, 503, "SlowDown") },
		"500 InternalError":   func(w http.ResponseWriter) { refuse(w, 500, "InternalError") },
		"429":                 func(w http.ResponseWriter) { refuse(w, 429, "TooManyRequests") },
		"502 of a proxy":      func(w http.ResponseWriter) { http.Error(w, "<html>Bad Gateway</html>", http.StatusBadGateway) },
		"400 RequestTimeout":  func(w http.ResponseWriter) { refuse(w, 400, "RequestTimeout") },
		"400 BadDigest":       func(w http.ResponseWriter) { refuse(w, 400, "BadDigest") },
		"connection is reset": func(w http.ResponseWriter) { hangUp(t, w) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const failures = 4
			var stored []byte
			b := newBroken(t, func(n int, w http.ResponseWriter, r *http.Request) {
				if n <= failures {
					fail(w)
					return
				}
				stored, _ = io.ReadAll(r.Body)
			})
			if err := b.Put(t.Context(), "object", []byte("data")); err != nil {
				t.Errorf("Put: %v", err)
			}
			if n := b.requests.Load(); n != failures+1 || string(stored) != "data" {
				t.Errorf("%d requests, stored %q; want %d and the data", n, stored, failures+1)
			}
			want := []time.Duration{150 * time.Millisecond, 300 * time.Millisecond, 600 * time.Millisecond, 1200 * time.Millisecond}
			if diff := cmp.Diff(want, b.pauses); diff != "" {
				t.Errorf("pauses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryOperationIsRetried(t *testing.T) {
	t.Parallel()
	b := newBroken(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch {
		case n%3 != 0:
			refuse(w, 503, "SlowDown")
		case r.URL.Query().Has("list-type"):
			fmt.Fprint(w, "<ListBucketResult><Contents><Key>folder/object</Key><Size>4</Size></Contents></ListBucketResult>")
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			serve(w, r, []byte("data"), `"1"`, -1)
		}
	})
	operations := operations(t.Context(), b, "folder/object")
	for verb, err := range operations {
		if err != nil {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if n := int(b.requests.Load()); n != 3*len(operations) {
		t.Errorf("%d requests, want 3 for each of the %d operations", n, len(operations))
	}
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	b := newBroken(t, func(_ int, w http.ResponseWriter, _ *http.Request) { refuse(w, 503, "SlowDown") })
	err := b.Put(t.Context(), "object", []byte("data"))
	if !errors.Is(err, storage.ErrUnreachable) || !strings.Contains(err.Error(), "503 SlowDown (as planned) after 10 attempts") {
		t.Errorf("Put: %v", err)
	}
	var total time.Duration
	for _, pause := range b.pauses {
		total += pause
	}
	if len(b.pauses) != attempts-1 || total > 2*time.Minute {
		t.Errorf("%d pauses of %v in all, want %d and at most two minutes", len(b.pauses), total, attempts-1)
	}
}

func TestRefusalsAreNotRetried(t *testing.T) {
	t.Parallel()
	for code, test := range map[string]struct {
		status int
		want   error
		says   string
		times  int32 // number of requests: something not implemented may be a checksum, so the bucket asks again without one
	}{
		"AccessDenied":         {403, storage.ErrPermission, "s3:PutObject on bucket/object", 1},
		"RequestTimeTooSkewed": {403, storage.ErrCredentials, "set the clock", 1},
		"NoSuchBucket":         {404, storage.ErrNoBucket, "create it", 1},
		"QuotaExceeded":        {403, storage.ErrNoSpace, "raise the bucket's quota", 1},
		"XMinioStorageFull":    {507, storage.ErrNoSpace, "free some space", 1},
		"EntityTooLarge":       {400, nil, "400 EntityTooLarge (as planned)", 1},
		"NotImplemented":       {501, nil, "501 NotImplemented", 3},
		"PermanentRedirect":    {301, storage.ErrUnreachable, "region=", 1},
	} {
		b := newBroken(t, func(_ int, w http.ResponseWriter, _ *http.Request) { refuse(w, test.status, code) })
		err := b.Put(t.Context(), "object", []byte("data"))
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v; want %v that says %q", code, err, test.want, test.says)
		}
		if n := b.requests.Load(); n != test.times {
			t.Errorf("%s: %d requests, want %d", code, n, test.times)
		}
	}
}

// An object's obstacle may be a folder that is just being removed, or may stay for good. MinIO calls that a lack of
// permission.
func TestContentionIsWaitedOutBriefly(t *testing.T) {
	t.Parallel()
	for code, test := range map[string]struct {
		status int
		want   error
	}{
		"ExistingObjectIsDirectory": {409, storage.ErrName},
		"AccessDenied":              {403, storage.ErrPermission},
	} {
		for _, failures := range []int{1, contendedAttempts - 1, contendedAttempts} {
			b := newBroken(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				if n > 1 && n <= 1+failures {
					refuse(w, test.status, code)
				}
			})
			if err := b.Put(t.Context(), "first", nil); err != nil {
				t.Fatal(err)
			}
			err := b.Put(t.Context(), "object", []byte("data"))
			if failures < contendedAttempts && err != nil {
				t.Errorf("%s %d times: %v", code, failures, err)
			}
			if failures == contendedAttempts && !errors.Is(err, test.want) {
				t.Errorf("%s for good: %v, want %v", code, err, test.want)
			}
		}
	}
}

// An expired token is worth one look for a new one, because renewed tokens appear where the old one was.
func TestExpiredTokenIsLookedForAgain(t *testing.T) {
	t.Parallel()
	b := newBroken(t, func(_ int, w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "ExpiredToken") })
	var looked atomic.Int32
	b.chain.sources[0].provider = counted{fixed{AccessKeyID: "AKIDOLD", SecretAccessKey: "x"}, &looked}
	err := b.Put(t.Context(), "object", []byte("data"))
	if !errors.Is(err, storage.ErrCredentials) || !strings.Contains(err.Error(), "session token of access key AKIDOLD") ||
		!strings.Contains(err.Error(), "expired") {
		t.Errorf("Put: %v", err)
	}
	if looked.Load() != 2 || b.requests.Load() != 2 {
		t.Errorf("credentials looked for %d times, %d requests; want 2 of each", looked.Load(), b.requests.Load())
	}
}

func TestContextEndsRetries(t *testing.T) {
	t.Parallel()
	cause := errors.New("lease lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	b := newBroken(t, func(_ int, w http.ResponseWriter, _ *http.Request) { refuse(w, 503, "SlowDown") })
	b.wait = func(ctx context.Context, _ time.Duration) error {
		cancel(cause)
		return wait.For(ctx, time.Hour)
	}
	if err := b.Put(ctx, "object", []byte("data")); !errors.Is(err, cause) {
		t.Errorf("Put: %v, want the context's cause", err)
	}
	if n := b.requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestStreamsThatStandStill(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	data := bytes.Repeat([]byte("x"), 64<<20) // more than fits into the sockets' buffers
	stuck := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			serve(w, r, data, `"1"`, 1000)
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}
	b := newBroken(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			stuck(w, r)
		} else if r.Method == http.MethodGet {
			serve(w, r, data, `"1"`, -1)
		} else {
			_, _ = io.Copy(io.Discard, r.Body)
		}
	})
	t.Cleanup(func() { close(done) }) // before the server is closed, which waits for it
	b.stall = 200 * time.Millisecond
	reader, err := b.Get(t.Context(), "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, reader); err != nil || n != int64(len(data)) {
		t.Errorf("Get: %d bytes, %v", n, err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	b.requests.Store(0)
	if err := b.Put(t.Context(), "object", data); err != nil {
		t.Errorf("Put: %v", err)
	}
	if n := b.requests.Load(); n < 2 {
		t.Errorf("Put took %d requests: none has stood still", n)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	for n := 1; n < 100; n++ {
		shortest, longest := pause(n, 0), pause(n, 0.999)
		if shortest <= 0 || shortest > longest || longest > longestPause {
			t.Errorf("pause(%d) is between %v and %v", n, shortest, longest)
		}
	}
}
