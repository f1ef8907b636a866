package packfile

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// resticIndex is an index that restic 0.14 wrote for a directory with a file and a symlink.
const resticIndex = `{"packs":[{"id":"05720a4e2466609976537e344eb21813578c6217f9e3f9423de8aff3002af96b","blobs":[` +
	`{"id":"98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4","type":"data","offset":0,"length":44,` +
	`"uncompressed_length":3}]},` +
	`{"id":"36c3d9b6958f5c17af01eb825ed420d8f5956a1e29d7ad4d940f22b4827ceef7","blobs":[` +
	`{"id":"b34c72c49df06cd13ea392b17ec3a99fdf420abf5bca05bf0c8934b1a86cd50d","type":"tree","offset":310,"length":248,` +
	`"uncompressed_length":351},` +
	`{"id":"de9901cd03344cefdac4c00082ab3bcc73fa56c642611d94292bf0744116c85d","type":"tree","offset":0,"length":310,` +
	`"uncompressed_length":643}]}]}`

// indexDecodesAlike compares our decoder of index objects with package json, and reports whether ours has read the
// object.
func indexDecodesAlike(t testing.TB, data []byte) bool {
	t.Helper()
	var got, want IndexObject
	if !decodeOrdinary(data, &got) {
		if !reflect.DeepEqual(got, IndexObject{}) {
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

// TestIndexesAreDecodedAsByPackageJSON also shows that our decoder leaves no index that we or restic write to package
// json.
func TestIndexesAreDecodedAsByPackageJSON(t *testing.T) {
	blobs := []Blob{
		{ID: format.ID{1}, Type: format.DataBlob, Offset: 0, Length: 44, UncompressedLength: 3},
		{ID: format.ID{2}, Type: format.TreeBlob, Offset: 44, Length: math.MaxUint32, UncompressedLength: math.MaxUint32},
		{ID: format.ID{3}, Type: format.DataBlob, Offset: math.MaxUint32, Length: 0},
	}
	for name, object := range map[string]IndexObject{
		"nothing":    {Packs: []Pack{}},
		"no blobs":   {Packs: []Pack{{ID: format.ID{9}, Blobs: []Blob{}}}},
		"packs":      {Packs: []Pack{{ID: format.ID{9}, Blobs: blobs}, {ID: format.ID{8}, Blobs: blobs[:1]}}},
		"supersedes": {Supersedes: []format.ID{{4}, {5}}, Packs: []Pack{{ID: format.ID{9}, Blobs: blobs[1:]}}},
	} {
		data := object.AppendJSON(nil)
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

// TestIndexesThatAreWrittenOtherwise: our decoder leaves them to package json, or both refuse them.
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
