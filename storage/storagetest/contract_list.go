package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
)

// objects puts one object for each name; its size is the length of its name.
func objects(t *testing.T, bucket storage.Bucket, names []string) {
	t.Helper()
	for _, name := range names {
		put(t, bucket, name, []byte(name))
	}
}

// testListOrder uses names whose lexical order differs from the order in which one walks a tree of folders: "-" and "."
// come before "/", and "0" comes after it.
func testListOrder(t *testing.T, bucket storage.Bucket) {
	want := []string{"b", "a/z", "a-b/c", "a.b", "a0", "a/b/c", "a/b.c", "a/b0", "a/b-", "A", "ä", "z/1/2/3", "z-", "aa"}
	slices.Sort(want)
	objects(t, bucket, want)
	if diff := cmp.Diff(want, names(t, bucket, "")); diff != "" {
		t.Errorf("List is not in the lexical order of the full names (-want +got):\n%s", diff)
	}
	err := bucket.List(t.Context(), "", func(info storage.Info) error {
		if info.Size != int64(len(info.Name)) {
			t.Errorf("List says that %q has %d bytes, want %d", info.Name, info.Size, len(info.Name))
		}
		wantRecent(t, info)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func testListPrefix(t *testing.T, bucket storage.Bucket) {
	objects(t, bucket, []string{"data/00/aa", "data/00/ab", "data/01/aa", "data-old", "dat", "keys/x", "x%2Fy", "x y"})
	for prefix, want := range map[string][]string{
		"data/":        {"data/00/aa", "data/00/ab", "data/01/aa"},
		"data":         {"data-old", "data/00/aa", "data/00/ab", "data/01/aa"},
		"da":           {"dat", "data-old", "data/00/aa", "data/00/ab", "data/01/aa"},
		"data/0":       {"data/00/aa", "data/00/ab", "data/01/aa"},
		"data/00/a":    {"data/00/aa", "data/00/ab"},
		"data/00/aa":   {"data/00/aa"},
		"data/00/aa/":  {},
		"data/00/aab":  {},
		"data/2":       {},
		"nothing/here": {},
		"k":            {"keys/x"},
		"x%":           {"x%2Fy"},
		"x ":           {"x y"},
		"../":          {},
		"/":            {},
		"data//":       {},
	} {
		if diff := cmp.Diff(want, names(t, bucket, prefix)); diff != "" {
			t.Errorf("List(%q) (-want +got):\n%s", prefix, diff)
		}
	}
}

// testListMany has more objects than one request to S3 lists, in one folder and in many.
func testListMany(t *testing.T, bucket storage.Bucket) {
	const count = 1203
	var want []string
	for i := range count {
		want = append(want, fmt.Sprintf("data/%02x/%04d", i%3, i))
	}
	slices.Sort(want)
	inParallel(t, 8, count, func(i int) error { return bucket.Put(t.Context(), want[i], nil) })
	if diff := cmp.Diff(want, names(t, bucket, "data/")); diff != "" {
		t.Errorf("List of %d objects (-want +got):\n%s", count, diff)
	}
	if found := names(t, bucket, "data/01/"); len(found) != count/3 {
		t.Errorf("List of one folder shows %d objects, want %d", len(found), count/3)
	}
}

func testListStops(t *testing.T, bucket storage.Bucket) {
	objects(t, bucket, []string{"a", "b", "c", "d"})
	stop := errors.New("enough")
	var seen []string
	err := bucket.List(t.Context(), "", func(info storage.Info) error {
		seen = append(seen, info.Name)
		if info.Name == "b" {
			return stop
		}
		return nil
	})
	if err != stop { //nolint:errorlint // the contract says unwrapped
		t.Errorf("List returned %v, want fn's own error, unwrapped", err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, seen); diff != "" {
		t.Errorf("fn was called for (-want +got):\n%s", diff)
	}
}

// testListCallsBack has fn use the bucket that is being listed, like a caller that removes what it finds.
func testListCallsBack(t *testing.T, bucket storage.Bucket) {
	objects(t, bucket, []string{"a/1", "a/2", "b/1", "c"})
	err := bucket.List(t.Context(), "", func(info storage.Info) error {
		if _, err := bucket.Stat(t.Context(), info.Name); err != nil {
			return err
		}
		return bucket.Delete(t.Context(), info.Name)
	})
	if err != nil {
		t.Errorf("List with an fn that deletes: %v", err)
	}
	if found := names(t, bucket, ""); len(found) != 0 {
		t.Errorf("left over: %q", found)
	}
}

func testFolders(t *testing.T, bucket storage.Bucket) {
	if found, err := storage.Folders(t.Context(), bucket, ""); err != nil || len(found) != 0 {
		t.Errorf("Folders of an empty bucket: %q, %v", found, err)
	}
	objects(
		t,
		bucket,
		[]string{"demo/web/config", "demo/web/data/00/x", "demo/redis/config", "demo-2/web/config", "object", "demo.txt", "z/gone"},
	)
	if err := bucket.Delete(t.Context(), "z/gone"); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string][]string{
		"":           {"demo", "demo-2"},
		"demo/":      {"redis", "web"},
		"demo/web/":  {"data"},
		"demo-2/":    {"web"},
		"z/":         nil,
		"none/such/": nil,
	} {
		found, err := storage.Folders(t.Context(), bucket, prefix)
		if err != nil {
			t.Errorf("Folders(%q): %v", prefix, err)
		} else if diff := cmp.Diff(want, append([]string(nil), found...)); diff != "" {
			t.Errorf("Folders(%q) (-want +got):\n%s", prefix, diff)
		}
	}
	for _, prefix := range []string{"demo", "/", "../", "demo//"} {
		if _, err := storage.Folders(t.Context(), bucket, prefix); !errors.Is(err, storage.ErrName) {
			t.Errorf("Folders(%q): %v, want %v", prefix, err, storage.ErrName)
		}
	}
}
