package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
)

func testAbsent(t *testing.T, bucket storage.Bucket) {
	wantAbsent(t, bucket, "absent")
	wantAbsent(t, bucket, "no/such/folder")
	for _, name := range []string{"absent", "no/such/folder"} {
		if err := bucket.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete(%q) of no object: %v, want none", name, err)
		}
	}
	if found := names(t, bucket, ""); len(found) != 0 {
		t.Errorf("a new bucket lists %q", found)
	}
	if bucket.String() == "" {
		t.Error("String() is empty; messages need it")
	}
}

func testReadAfterWrite(t *testing.T, bucket storage.Bucket) {
	for i, data := range [][]byte{nil, {}, {0}, []byte("data"), random(1, 4097)} {
		name := fmt.Sprintf("folder/object-%d", i)
		put(t, bucket, name, data)
		wantObject(t, bucket, name, data)
		if found := names(t, bucket, name); len(found) != 1 || found[0] != name {
			t.Errorf("List after Put shows %q, want %q", found, name)
		}
		for range 2 { // the second has nothing to remove
			if err := bucket.Delete(t.Context(), name); err != nil {
				t.Errorf("Delete(%q): %v", name, err)
			}
			wantAbsent(t, bucket, name)
		}
	}
}

func testReplace(t *testing.T, bucket storage.Bucket) {
	for _, data := range []string{"first", "second, which is longer", "3rd", ""} {
		put(t, bucket, "object", []byte(data))
		wantObject(t, bucket, "object", []byte(data))
	}
	if found := names(t, bucket, ""); len(found) != 1 {
		t.Errorf("after replacing one object the bucket lists %q", found)
	}
}

func testDataIsTheCallers(t *testing.T, bucket storage.Bucket) {
	data := random(2, 1000)
	put(t, bucket, "object", data)
	if !bytes.Equal(data, random(2, 1000)) {
		t.Error("Put changed the caller's data")
	}
	clear(data)
	wantObject(t, bucket, "object", random(2, 1000))
	read, err := get(t.Context(), bucket, "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	clear(read)
	wantObject(t, bucket, "object", random(2, 1000))
}

func testRanges(t *testing.T, bucket storage.Bucket) {
	data := random(3, 1000)
	put(t, bucket, "object", data)
	put(t, bucket, "empty", nil)
	for _, test := range []struct {
		name           string
		offset, length int64
		want           []byte // nil: ErrRange
	}{
		{"object", 0, -1, data},
		{"object", 0, 1000, data},
		{"object", 0, 1, data[:1]},
		{"object", 999, 1, data[999:]},
		{"object", 250, 500, data[250:750]},
		{"object", 250, -1, data[250:]},
		{"object", 250, -7, data[250:]},
		{"object", 0, 0, []byte{}},
		{"object", 250, 0, []byte{}},
		{"object", 1000, 0, []byte{}},
		{"object", 1000, -1, []byte{}},
		{"object", 0, 1001, nil},
		{"object", 999, 2, nil},
		{"object", 1000, 1, nil},
		{"object", 1001, 0, nil},
		{"object", 1001, -1, nil},
		{"object", 5000, 10, nil},
		{"object", 1, 1<<63 - 1, nil},
		{"object", 1<<63 - 1, -1, nil},
		{"object", 1<<63 - 1, 1<<63 - 1, nil},
		{"object", -1, 1, nil},
		{"object", -1, -1, nil},
		{"empty", 0, -1, []byte{}},
		{"empty", 0, 0, []byte{}},
		{"empty", 0, 1, nil},
		{"empty", 1, -1, nil},
	} {
		read, err := get(t.Context(), bucket, test.name, test.offset, test.length)
		if test.want == nil {
			if !errors.Is(err, storage.ErrRange) {
				t.Errorf("Get(%s, %d, %d): %v, want %v", test.name, test.offset, test.length, err, storage.ErrRange)
			}
		} else if err != nil || !bytes.Equal(read, test.want) {
			t.Errorf("Get(%s, %d, %d): %d bytes, %v; want the %d bytes there", test.name, test.offset, test.length, len(read), err, len(test.want))
		}
	}
	for _, length := range []int64{-1, 0, 1} {
		if _, err := get(t.Context(), bucket, "absent", 0, length); !errors.Is(err, storage.ErrNotExist) {
			t.Errorf("Get(absent, 0, %d): %v, want %v", length, err, storage.ErrNotExist)
		}
	}
}

// The repository's largest packs are 128 MiB; this object is larger than the parts in which media and their client
// libraries like to cut objects.
func testLargeObject(t *testing.T, bucket storage.Bucket) {
	data := random(4, 20<<20)
	put(t, bucket, "large", data)
	wantObject(t, bucket, "large", data)
	read, err := get(t.Context(), bucket, "large", 10<<20-1, 3)
	if err != nil || !bytes.Equal(read, data[10<<20-1:10<<20+2]) {
		t.Errorf("three bytes in the middle: %v, %v", read, err)
	}
	// A reader that is closed early must not hold on to the object or the bucket.
	reader, err := bucket.Get(t.Context(), "large", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Read(make([]byte, 10)); err != nil {
		t.Errorf("read ten bytes: %v", err)
	}
	if err := reader.Close(); err != nil {
		t.Errorf("close before the end: %v", err)
	}
}

func (c Contract) testNames(t *testing.T, bucket storage.Bucket) {
	long := strings.Repeat(strings.Repeat("x", storage.MaxElement-1)+"/", 5)[:c.LongestName-1] + "y"
	valid := []string{
		"a", "a.b", ".hidden", "...", "trailing.", "-", "~", "_", "with space", "plus+and%41percent",
		"question?mark#hash&amp", "quote'\"", "colon:semi;comma,", "star*brackets[](){}<>|", "equals=at@bang!$^`",
		"ümlaut/日本語/🙂", "UPPER", "config", "data/00/00ff", "tmp", "a.tmp",
		strings.Repeat("e", storage.MaxElement), long,
	}
	for i, name := range valid {
		put(t, bucket, name, []byte{byte(i)})
	}
	for i, name := range valid {
		wantObject(t, bucket, name, []byte{byte(i)})
	}
	if found := names(t, bucket, ""); len(found) != len(valid) {
		t.Errorf("%d objects stored, %d listed: %q", len(valid), len(found), found)
	}
	for _, name := range valid {
		if err := bucket.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete(%q): %v", name, err)
		}
		wantAbsent(t, bucket, name)
	}
}

func (c Contract) testInvalidNames(t *testing.T, bucket storage.Bucket) {
	put(t, bucket, "a/b", []byte("data"))
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "./a", "../a", "a/../b", "a/..", "a/./b", "a\x00b", "a\nb", "a\x7f",
		`a\b`, "a\xff", strings.Repeat("e", storage.MaxElement+1),
		strings.Repeat("x/", c.LongestName/2) + "xx",
	} {
		_, getErr := get(t.Context(), bucket, name, 0, -1)
		_, statErr := bucket.Stat(t.Context(), name)
		for verb, err := range map[string]error{
			"Get": getErr, "Stat": statErr,
			"Put":    bucket.Put(t.Context(), name, []byte("x")),
			"Delete": bucket.Delete(t.Context(), name),
		} {
			if !errors.Is(err, storage.ErrName) {
				t.Errorf("%s(%q): %v, want %v", verb, name, err, storage.ErrName)
			}
		}
	}
	if found := names(t, bucket, ""); len(found) != 1 || found[0] != "a/b" {
		t.Errorf("after refused names the bucket lists %q, want only a/b", found)
	}
}

func testObjectBesideFolder(t *testing.T, bucket storage.Bucket) {
	put(t, bucket, "folder/object", []byte("data"))
	for _, name := range []string{"folder", "folder/object/below"} {
		wantAbsent(t, bucket, name)
		err := bucket.Put(t.Context(), name, []byte("other"))
		if err != nil && !errors.Is(err, storage.ErrName) {
			t.Errorf("Put(%q) beside folder/object: %v, want none or %v", name, err, storage.ErrName)
		}
		wantObject(t, bucket, "folder/object", []byte("data"))
		if err := bucket.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete(%q): %v", name, err)
		}
		wantAbsent(t, bucket, name)
		wantObject(t, bucket, "folder/object", []byte("data"))
	}
	if err := bucket.Delete(t.Context(), "folder/object"); err != nil {
		t.Fatal(err)
	}
	// The folder has gone with its last object: nothing is left to block an object with that name.
	put(t, bucket, "folder", []byte("now an object"))
	wantObject(t, bucket, "folder", []byte("now an object"))
}
