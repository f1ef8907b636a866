package s3

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// flipDownload changes one bit of an object that is read.
func flipDownload(p *proxy, w http.ResponseWriter, r *http.Request) {
	response, body := p.whole(r)
	if r.Method == http.MethodGet && !r.URL.Query().Has("list-type") && len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	_ = reply(w, response, bytes.NewReader(body))
}

// flipName changes one bit of the last name that is listed: its last digit is another one then, or, unless digit, none.
func flipName(digit bool) fault {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		response, body := p.whole(r)
		if names := regexp.MustCompile("[0-9a-f]</Key>").FindAllIndex(body, -1); len(names) > 0 {
			at := names[len(names)-1][0]
			body[at] = flipDigit(body[at], digit)
		}
		_ = reply(w, response, bytes.NewReader(body))
	}
}

// flipDigit changes the lowest bit that makes another hexadecimal digit of c, or none.
func flipDigit(c byte, digit bool) byte {
	for bit := byte(1); bit > 0; bit <<= 1 {
		if strings.ContainsRune("0123456789abcdef", rune(c^bit)) == digit {
			return c ^ bit
		}
	}
	return c
}

// TestFlippedDownloads has objects arrive with a wrong bit, which only their hashes can tell: once, which is not to be
// seen, and then always.
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
		if folder := strings.TrimPrefix(operation.kind, "GET "); err == nil || !strings.Contains(err.Error(), folder) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s with wrong bits in %s: %v; want an error that names it", operation.name, folder, err)
		}
	}
	s.proxy.meet(nil, nil)
	if err := steps(t.Context(), j.open, j.restore, j.prune, j.backup, j.restore); err != nil {
		t.Error(err)
	}
	s.judge(t, "flips")
}

// TestFlippedListings has every listing arrive with a wrong name, once. Whatever is done then finds all that is there, or it
// fails and says which object it looked for in vain; so that it succeeds when it is done often enough.
func TestFlippedListings(t *testing.T) {
	t.Parallel()
	s := newSite(t, startVersitygw(t), 5*time.Second)
	j := newJob(t, s.faulty, "listings")
	if err := steps(t.Context(), j.init, j.backup); err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("(keys|index|data)/[0-9a-f]{64}|blob [0-9a-f]{64}")
	for _, digit := range []bool{true, false} {
		j.change()
		for name, run := range map[string]func(context.Context) error{"open": j.open, "backup": j.backup, "restore": j.restore, "prune": j.prune} {
			s.proxy.meet(flipName(digit), func(kind string, again bool) bool { return kind == "GET list" && !again })
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
