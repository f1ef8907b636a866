package s3

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
)

func TestPutSendsChecksums(t *testing.T) {
	t.Parallel()
	data := []byte("some data to be checked")
	sum := sha256.Sum256(data)
	var crc [4]byte
	for i, value := 0, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)); i < 4; i++ {
		crc[i] = byte(value >> (24 - 8*i))
	}
	b := newBroken(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-Amz-Content-Sha256"); got != hex.EncodeToString(sum[:]) {
			t.Errorf("SHA-256 %q", got)
		}
		if got, want := r.Header.Get("X-Amz-Checksum-Crc32c"), b64(crc[:]); got != want {
			t.Errorf("CRC32C %q, want %q", got, want)
		}
		if !strings.Contains(r.Header.Get("Authorization"), "x-amz-content-sha256") || r.ContentLength != int64(len(data)) {
			t.Errorf("the data's hash is not signed, or its length is not %d: %v", len(data), r.Header)
		}
	})
	if err := b.Put(t.Context(), "object", data); err != nil {
		t.Error(err)
	}
}

// If a server refuses and hangs up on a client that is still sending, the client asks before it sends the data again.
func TestPutAsksAfterABrokenConnection(t *testing.T) {
	t.Parallel()
	b := newBroken(t, func(n int, w http.ResponseWriter, r *http.Request) {
		asks := r.Header.Get("Expect") == "100-continue"
		if asks != (n > 1) {
			t.Errorf("request %d asks first: %v", n, asks)
		}
		if !asks {
			hangUp(t, w)
			return
		}
		refuse(w, http.StatusForbidden, "AccessDenied")
	})
	err := b.Put(t.Context(), "object", make([]byte, 64<<20))
	if !errors.Is(err, storage.ErrPermission) {
		t.Errorf("Put: %v, want %v", err, storage.ErrPermission)
	}
	if n := b.requests.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// keeper is a transport that fails and keeps the body of the request, as a real one may for a while.
type keeper struct{ body io.Reader }

func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	k.body = r.Body
	if _, err := io.ReadFull(k.body, make([]byte, 10)); err != nil {
		return nil, fmt.Errorf("read during the request: %w", err)
	}
	return nil, x509.UnknownAuthorityError{}
}

// After a Put, the transport must not read the data: it belongs to the caller again.
func TestPutLetsGoOfTheData(t *testing.T) {
	t.Parallel()
	transport := &keeper{}
	bucket, err := open(Config{Bucket: "bucket", Endpoint: "https://s3.test", Region: "us-east-1"}, asRoot, transport)
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Put(t.Context(), "object", make([]byte, 1000)); !errors.Is(err, storage.ErrUnreachable) {
		t.Errorf("Put: %v, want %v", err, storage.ErrUnreachable)
	}
	if n, err := transport.body.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("the transport reads %d more bytes, %v", n, err)
	}
}
