package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

// flipDownload flips one bit of an object that is read.
func flipDownload(p *proxy, w http.ResponseWriter, r *http.Request) {
	response, body := p.whole(r)
	if r.Method == http.MethodGet && !r.URL.Query().Has("list-type") && len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	_ = reply(w, response, bytes.NewReader(body))
}

// flipName flips one bit in the last digit of the last listed name.
func flipName(flip func(digit byte) byte) fault {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		response, body := p.whole(r)
		if names := regexp.MustCompile("[0-9a-f]</Key>").FindAllIndex(body, -1); len(names) > 0 {
			at := names[len(names)-1][0]
			body[at] = flip(body[at])
		}
		_ = reply(w, response, bytes.NewReader(body))
	}
}

// toDigit flips the lowest bit that turns c into another hexadecimal digit.
func toDigit(c byte) byte {
	return flipBit(c, func(to byte) bool { return strings.IndexByte("0123456789abcdef", to) >= 0 })
}

// toText flips the lowest bit that turns c into no digit, and into nothing with a meaning in XML.
func toText(c byte) byte {
	return flipBit(c, func(to byte) bool { return strings.IndexByte("0123456789abcdef<&", to) < 0 })
}

func flipBit(c byte, good func(byte) bool) byte {
	for bit := byte(1); bit > 0; bit <<= 1 {
		if good(c ^ bit) {
			return c ^ bit
		}
	}
	return c
}

// TestFlippedDownloads makes objects arrive with a wrong bit, which only their hashes reveal: first once, which nobody
// must notice, and then always.
func TestFlippedDownloads(t *testing.T) {
	t.Parallel()
	s := newSite(t, startVersitygw(t), 5*time.Second)
	j := newJob(t, s.faulty, "flips")
	if err := steps(t.Context(), j.init, j.backup); err != nil {
		t.Fatal(err)
	}
	j.change()
	s.proxy.meet(flipDownload, func(kind string, again bool) bool {
		return !again && (kind == "GET data" || kind == "GET index" || kind == "GET snapshots")
	})
	if err := steps(t.Context(), j.backup, j.restore); err != nil || len(s.proxy.kinds()) != 3 {
		t.Errorf("with wrong bits in %v: %v", s.proxy.kinds(), err)
	}
	for _, operation := range []struct {
		name string
		run  func(context.Context) error
		kind string
	}{
		{"open", j.open, "GET keys"}, {"open", j.open, "GET config"}, {"backup", j.backup, "GET index"},
		{"restore", j.restore, "GET index"}, {"restore", j.restore, "GET snapshots"}, {"restore", j.restore, "GET data"},
		{"prune", j.prune, "GET index"}, {"prune", j.prune, "GET snapshots"}, {"prune", j.prune, "GET data"},
	} {
		s.proxy.meet(nil, nil)
		if err := j.open(t.Context()); err != nil { // and forget the trees that were read
			t.Fatal(err)
		}
		s.proxy.meet(flipDownload, func(kind string, _ bool) bool { return kind == operation.kind })
		err := operation.run(t.Context())
		if folder := strings.TrimPrefix(operation.kind, "GET "); err == nil || !strings.Contains(err.Error(), folder) ||
			!strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s with wrong bits in %s: %v; want an error that names it", operation.name, folder, err)
		}
	}
	s.proxy.meet(nil, nil)
	if err := steps(t.Context(), j.open, j.restore, j.prune, j.backup, j.restore); err != nil {
		t.Error(err)
	}
	s.judge(t, "flips")
}

// TestFlippedListings makes every listing arrive once with a wrong name. Every action then finds everything that is
// there, or it fails and says which object it looked for in vain; repeated often enough, it succeeds.
func TestFlippedListings(t *testing.T) {
	t.Parallel()
	s := newSite(t, startVersitygw(t), 5*time.Second)
	j := newJob(t, s.faulty, "listings")
	if err := steps(t.Context(), j.init, j.backup); err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("(keys|index|data)/[0-9a-f]{64}|blob [0-9a-f]{64}")
	for _, flip := range []func(byte) byte{toDigit, toText} {
		j.change()
		for name, run := range map[string]func(context.Context) error{
			"open": j.open, "backup": j.backup, "restore": j.restore, "prune": j.prune,
		} {
			s.proxy.meet(flipName(flip), func(kind string, again bool) bool { return kind == "GET list" && !again })
			err := run(t.Context())
			for tries := 1; err != nil && tries < 5; tries++ {
				if !named.MatchString(err.Error()) {
					t.Errorf("%s with a wrong name in listings: %v; want all of it, or the name of what is missing", name, err)
				}
				err = run(t.Context())
			}
			if err != nil || len(s.proxy.kinds()) == 0 {
				t.Errorf("%s with a wrong name in %q, once: %v", name, s.proxy.kinds(), err)
			}
		}
	}
	s.proxy.meet(nil, nil)
	if err := steps(t.Context(), j.open, j.restore, j.prune, j.backup, j.restore); err != nil {
		t.Error(err)
	}
	s.judge(t, "listings")
}

// TestGarbledListings has answers that are no listing, once: the bucket asks for them again. If every answer is like
// that, the bucket soon gives up, and says what may be wrong.
func TestGarbledListings(t *testing.T) {
	t.Parallel()
	const whole = "<ListBucketResult><Contents><Key>folder/object</Key><LastModified>2026-11-21T08:12:00.000Z</LastModified>" +
		"<Size>4</Size></Contents></ListBucketResult>"
	for what, body := range map[string]string{
		"nothing": "", "half": whole[:len(whole)/2], "a changed tag": strings.Replace(whole, "</Key>", "=/Key>", 1),
		"a changed name": strings.Replace(whole, "object<", "objec<<", 1), "a changed size": strings.Replace(whole, "4", "t", 1),
		"a changed time": strings.Replace(whole, "T08", "T\x708", 1), "a page": "<html><body>Welcome<br></body></html>",
		"a page of XML": "<?xml version=\"1.0\"?><html><body>Welcome</body></html>",
	} {
		list := func(b *broken) (names []string, err error) {
			err = b.List(t.Context(), "folder/", func(info storage.Info) error { names = append(names, info.Name); return nil })
			return names, err
		}
		b := newBroken(t, func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				fmt.Fprint(w, body)
			} else {
				fmt.Fprint(w, whole)
			}
		})
		if names, err := list(b); err != nil || !slices.Equal(names, []string{"folder/object"}) || b.requests.Load() != 2 {
			t.Errorf("%s, once: %q, %v, after %d requests", what, names, err, b.requests.Load())
		}
		b = newBroken(t, func(_ int, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		_, err := list(b)
		if !errors.Is(err, storage.ErrUnreachable) || !strings.Contains(err.Error(), "check that an S3 service is there") ||
			b.requests.Load() != silentAttempts {
			t.Errorf("%s, always: %v, after %d requests", what, err, b.requests.Load())
		}
	}
}
