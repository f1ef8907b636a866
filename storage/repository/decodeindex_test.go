package repository

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

// indexDecodesAlike compares our decoder of index objects with that of package json, and reports whether ours has read it.
func indexDecodesAlike(t testing.TB, data []byte) bool {
	t.Helper()
	var got, want indexObject
	if !decodeIndexObject(data, &got) {
		if !reflect.DeepEqual(got, indexObject{}) {
			t.Fatalf("%s was not read, but %+v is left of it", data, got)
		}
		return false
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatalf("%s is no index object: %v", data, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s was read as %+v instead of %+v", data, got, want)
	}
	return true
}

// TestIndexesAreDecodedAsByPackageJSON also shows that no index that we or restic write is left to package json.
func TestIndexesAreDecodedAsByPackageJSON(t *testing.T) {
	blobs := []indexBlob{
		{ID: ID{1}, Type: DataBlob, Offset: 0, Length: 44, UncompressedLength: 3},
		{ID: ID{2}, Type: TreeBlob, Offset: 44, Length: math.MaxUint32, UncompressedLength: math.MaxUint32},
		{ID: ID{3}, Type: DataBlob, Offset: math.MaxUint32, Length: 0},
	}
	for name, object := range map[string]indexObject{
		"nothing":    {Packs: []indexPack{}},
		"no blobs":   {Packs: []indexPack{{ID: ID{9}, Blobs: []indexBlob{}}}},
		"packs":      {Packs: []indexPack{{ID: ID{9}, Blobs: blobs}, {ID: ID{8}, Blobs: blobs[:1]}}},
		"supersedes": {Supersedes: []ID{{4}, {5}}, Packs: []indexPack{{ID: ID{9}, Blobs: blobs[1:]}}},
	} {
		data := object.appendJSON(nil)
		if !indexDecodesAlike(t, data) || !indexDecodesAlike(t, append(data, '\n')) {
			t.Errorf("%s: %s is left to package json", name, data)
		}
		for i := range data {
			indexDecodesAlike(t, data[:i])
			for _, c := range []byte(`0"x,]}{` + "\xff") {
				changed := append([]byte(nil), data...)
				changed[i] = c
				indexDecodesAlike(t, changed)
			}
		}
	}
	if !indexDecodesAlike(t, []byte(resticIndex)) {
		t.Error("restic's index is left to package json")
	}
}

// TestIndexesThatAreWrittenOtherwise are left to package json, or refused by both.
func TestIndexesThatAreWrittenOtherwise(t *testing.T) {
	for _, change := range [][2]string{
		{`{"packs"`, ` {"packs"`}, {`"packs"`, `"Packs"`}, {`"packs":[`, `"packs":[]],"packs":[`}, {
			`"packs":[`, `"supersedes":null,"supersedes":[],"packs":[`,
		},
		{`"packs":[`, `"packs":null,"later":[`}, {`"blobs":[`, `"blobs":null,"later":[`}, {`"blobs":[`, `"blobs":[,`},
		{`"blobs":[`, `"blobs":[ `},
		{`"type":"data"`, `"type":"later"`}, {`"type":"data"`, `"type":"d\u0061ta"`}, {`"offset":0`, `"offset":-1`},
		{`"offset":0`, `"offset":00`},
		{`"offset":0`, `"offset":4294967296`}, {`"offset":0`, `"offset":0.0`}, {`"offset":0,`, ``}, {`"length":44`, `"length":44,"length":45`},
		{`,"uncompressed_length":3`, `,"uncompressed_length":`}, {`]}]}`, `],}]}`}, {`]}]}`, `]}]}{}`}, {`]}]}`, "]}]}\n\n"}, {`]}]}`, `]},]}`},
		{`"length":44`, `"length":4294967296`}, {`"uncompressed_length":3`, `"uncompressed_length":4294967296`},
		{`"id":"05`, `"id":"5`}, {`"id":"05`, `"id":"xx`},
	} {
		changed := strings.Replace(resticIndex, change[0], change[1], 1)
		if changed == resticIndex {
			t.Fatalf("there is no %s", change[0])
		}
		if indexDecodesAlike(t, []byte(changed)) {
			t.Errorf("%s was decoded", changed)
		}
	}
}
