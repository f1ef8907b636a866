package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
	"github.com/stsbackup/stsbackup/storage/storagetest/odds3"
)

// newOdd starts a server with oddities, and opens a bucket there whose pauses take no time.
func newOdd(t *testing.T) (*odds3.Server, *Bucket) {
	t.Helper()
	s := odds3.New(t)
	return s, openOdd(t, s)
}

func openOdd(t *testing.T, s *odds3.Server) *Bucket {
	t.Helper()
	config := Config{Bucket: "bucket", Endpoint: s.URL, Region: "us-east-1", Addressing: PathStyle}
	bucket := (&server{}).open(t, config, asRoot)
	bucket.wait = func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }
	return bucket
}

func TestOddServerKeepsTheContract(t *testing.T) {
	t.Parallel()
	storagetest.Contract{Open: func(t *testing.T) storage.Bucket {
		_, bucket := newOdd(t)
		return bucket
	}}.Test(t)
}

// fill puts some objects below folder/, and one beside it.
func fill(t *testing.T, bucket *Bucket, count int) (names []string) {
	t.Helper()
	for i := range count {
		names = append(names, fmt.Sprintf("folder/%03d", i))
	}
	for _, name := range append([]string{"other"}, names...) {
		if err := bucket.Put(t.Context(), name, []byte("data")); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func listNames(ctx context.Context, bucket storage.Bucket, prefix string) (names []string, err error) {
	err = bucket.List(ctx, prefix, func(info storage.Info) error { names = append(names, info.Name); return nil })
	return names, err
}

// TestDoubtFindsWhatAListingLeavesOut: if a server cuts listings short and calls them complete, the bucket asks until
// there is no more; it asks an honest server once more.
func TestDoubtFindsWhatAListingLeavesOut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		odds     odds3.Odds
		count    int
		without  int // how many names it lists without doubt
		requests int // in doubt
	}{
		{odds3.Odds{}, 8, 8, 2},
		{odds3.Odds{}, 0, 0, 2},
		{odds3.Odds{SaysComplete: true, PageSize: 5}, 8, 5, 3},
		{odds3.Odds{SaysComplete: true, PageSize: 1}, 8, 1, 9},
		{odds3.Odds{PageSize: 3}, 8, 8, 4},
		{odds3.Odds{EmptyPages: 3, PageSize: 4}, 8, 8, 9},
	} {
		s, bucket := newOdd(t)
		want := fill(t, bucket, test.count)
		s.Set(test.odds)
		if names, err := listNames(t.Context(), bucket, "folder/"); err != nil || len(names) != test.without {
			t.Errorf("%+v: %q, %v; want %d", test.odds, names, err, test.without)
		}
		s.Requests()
		names, err := listNames(storage.WithDoubt(t.Context(), true), bucket, "folder/")
		if requests := s.Requests(); err != nil || !slices.Equal(names, want) || len(requests) != test.requests {
			t.Errorf("%+v in doubt: %q, %v after %q; want all of %d after %d requests", test.odds, names, err, requests, len(want), test.requests)
		}
	}
}

// TestListingsThatDoNotGoOn: if a listing returns to names that it has listed, or brings nothing, or names that nobody
// asked for, that is an error, soon, and never a list without end.
func TestListingsThatDoNotGoOn(t *testing.T) {
	t.Parallel()
	unescaped := func(name string) string { return strings.ReplaceAll(name, "folder", "fol+der") }
	for what, test := range map[string]struct {
		odds odds3.Odds
		says string
	}{
		"the token is ignored":             {odds3.Odds{PageSize: 3, IgnoresToken: true}, "begins again"},
		"the start is ignored":             {odds3.Odds{PageSize: 3, SaysComplete: true, IgnoresStart: true}, "begins again"},
		"a page without names, for ever":   {odds3.Odds{EmptyPages: -1}, "does not end"},
		"very many pages without names":    {odds3.Odds{EmptyPages: 1 << 30}, "does not end"},
		"names of something else":          {odds3.Odds{ShiftsNames: unescaped}, `holds "fol+der/`},
		"truncated, and no way to go on":   {odds3.Odds{Refuse: truncated}, "IsTruncated"},
		"the same name, again and again":   {odds3.Odds{ShiftsNames: func(string) string { return "folder/000" }}, "begins again"},
		"an empty page, then another word": {odds3.Odds{EmptyPages: 2, PageSize: 1, IgnoresToken: true}, "does not end"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s, bucket := newOdd(t)
			fill(t, bucket, 8)
			s.Set(test.odds)
			s.Requests()
			for _, prefix := range []string{"folder/", "folder"} {
				_, err := listNames(storage.WithDoubt(t.Context(), true), bucket, prefix)
				requests := len(s.Requests())
				if !errors.Is(err, storage.ErrUnreachable) || !strings.Contains(err.Error(), test.says) ||
					strings.Contains(err.Error(), "http://127.0.0.1:0") ||
					requests > 4*(maxIdlePages+2) {
					t.Errorf("list %s: %v after %d requests; want an error that says %q", prefix, err, requests, test.says)
				}
			}
		})
	}
}

// truncated answers every listing with an empty page that is not the last, and does not say how to go on.
func truncated(r *http.Request) *odds3.Refusal {
	if !odds3.IsList(r) {
		return nil
	}
	return &odds3.Refusal{Status: http.StatusOK, Message: "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"}
}

// TestFoldersThatDoNotGoOn is the same for folders.
func TestFoldersThatDoNotGoOn(t *testing.T) {
	t.Parallel()
	for _, odds := range []odds3.Odds{
		{EmptyPages: -1}, {EmptyPages: 1 << 30}, {PageSize: 1, IgnoresToken: true}, {Refuse: truncated},
		{ShiftsNames: func(name string) string { return "x" + name }},
	} {
		s, bucket := newOdd(t)
		for i := range 3 {
			if err := bucket.Put(t.Context(), fmt.Sprintf("demo/web-%d/config", i), nil); err != nil {
				t.Fatal(err)
			}
		}
		if folders, err := bucket.Folders(t.Context(), "demo/"); err != nil || len(folders) != 3 {
			t.Fatal(folders, err)
		}
		s.Set(odds)
		s.Requests()
		folders, err := bucket.Folders(t.Context(), "demo/")
		if requests := len(s.Requests()); !errors.Is(err, storage.ErrUnreachable) || requests > 4*(maxIdlePages+2) {
			t.Errorf("%+v: %q, %v after %d requests", odds, folders, err, requests)
		}
	}
}

// TestOddOrders: a listing that is complete but out of order gets sorted.
func TestOddOrders(t *testing.T) {
	t.Parallel()
	s, bucket := newOdd(t)
	want := fill(t, bucket, 8)
	s.Set(odds3.Odds{ShiftsNames: func(name string) string { return "folder/00" + string('7'-name[len(name)-1]+'0') }})
	names, err := listNames(storage.WithDoubt(t.Context(), true), bucket, "folder/")
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v; want %q", names, err, want)
	}
}
