package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

// newLapsing is a bucket whose keys are in a file that holds the current key; the server refuses every other key with
// code. put puts a key into the file.
func newLapsing(t *testing.T, current *string, code string) (b *broken, put func(key string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file) // the library reads it itself
	t.Setenv("AWS_CONFIG_FILE", file+".absent")
	put = func(key string) {
		t.Helper()
		keys := Credentials{accessKey: key, secretKey: "secret", sessionToken: "token"}
		if err := os.WriteFile(file, keys.SharedFile(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(*current)
	b = newBroken(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.Contains(r.Header.Get("Authorization"), "Credential="+*current+"/"):
			refuse(w, http.StatusForbidden, code)
		case r.URL.Query().Has("list-type"):
			fmt.Fprint(w, "<ListBucketResult><Contents><Key>folder/object</Key><Size>4</Size></Contents></ListBucketResult>")
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			serve(w, r, []byte("data"), `"1"`, -1)
		}
	})
	b.chain.sources = []source{fileSource("", os.Getenv)}
	return b, put
}

// If a role's keys are replaced late, while they are in use, no operation fails.
func TestKeysThatAreRenewedLate(t *testing.T) {
	for _, code := range []string{"ExpiredToken", "InvalidToken", "InvalidAccessKeyId"} {
		t.Run(code, func(t *testing.T) {
			current := "AKID0"
			b, put := newLapsing(t, &current, code)
			if err := b.Put(t.Context(), "object", []byte("data")); err != nil {
				t.Fatal(err)
			}
			lapsed, pauses := 0, 0
			b.wait = func(context.Context, time.Duration) error {
				if pauses++; pauses == 5 {
					put(current)
				}
				return nil
			}
			lapse := func() {
				lapsed++
				current, pauses = fmt.Sprintf("AKID%d", lapsed), 0
			}
			for verb, do := range map[string]func() error{
				"put":    func() error { return b.Put(t.Context(), "folder/object", []byte("data")) },
				"stat":   func() error { _, err := b.Stat(t.Context(), "folder/object"); return err },
				"get":    func() error { _, err := b.Get(t.Context(), "folder/object", 0, -1); return err },
				"list":   func() error { return b.List(t.Context(), "", func(storage.Info) error { return nil }) },
				"delete": func() error { return b.Delete(t.Context(), "folder/object") },
			} {
				lapse()
				if err := do(); err != nil || pauses != 5 {
					t.Errorf("%s with keys that are renewed after 5 pauses: %v after %d", verb, err, pauses)
				}
			}
		})
	}
}

// If keys are replaced before they expire, nobody notices.
func TestKeysThatAreRenewedInTime(t *testing.T) {
	current := "AKID1"
	b, put := newLapsing(t, &current, "ExpiredToken")
	for n := range 3 {
		current = fmt.Sprintf("AKID%d", n)
		put(current)
		if err := b.Put(t.Context(), "object", nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.requests.Load(); n != 3 || len(b.pauses) > 0 {
		t.Errorf("3 objects with 3 keys took %d requests and pauses of %v", n, b.pauses)
	}
}

// A kubelet takes up to a minute and a half to show a pod its new keys. Nobody waits for ever for keys that never come,
// and nobody waits at all for keys that were never good.
func TestKeysThatAreNotRenewed(t *testing.T) {
	current := "AKIDOLD"
	b, _ := newLapsing(t, &current, "ExpiredToken")
	if err := b.Put(t.Context(), "object", nil); err != nil {
		t.Fatal(err)
	}
	current = "AKIDNEW"
	for _, random := range []float64{0, 0.999} {
		b.pauses, b.random = nil, func() float64 { return random }
		err := b.Put(t.Context(), "object", nil)
		if !errors.Is(err, storage.ErrCredentials) || !strings.Contains(err.Error(), "access key AKIDOLD") ||
			!strings.Contains(err.Error(), "has expired after 16 attempts") {
			t.Errorf("with keys that are not renewed: %v", err)
		}
		var total time.Duration
		for _, pause := range b.pauses {
			total += pause
		}
		if total < 2*time.Minute || total > 5*time.Minute {
			t.Errorf("%v were waited, want two minutes to five", total)
		}
	}
	b, _ = newLapsing(t, &current, "InvalidToken")
	current = "AKIDOTHER"
	if err := b.Put(t.Context(), "object", nil); !errors.Is(err, storage.ErrCredentials) || len(b.pauses) > 0 {
		t.Errorf("with keys that never were good: %v after pauses of %v", err, b.pauses)
	}
}
