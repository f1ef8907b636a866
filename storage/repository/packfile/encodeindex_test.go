package packfile

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

func TestIndexIsEncodedAsByPackageJSON(t *testing.T) {
	id := format.Hash([]byte("x"))
	blobs := []Blob{
		{ID: id, Type: format.DataBlob, Length: 33},
		{Type: format.TreeBlob, Offset: 33, Length: 1 << 31, UncompressedLength: 1<<32 - 1},
	}
	for name, x := range map[string]IndexObject{
		"empty":      {Packs: []Pack{}},
		"one":        {Packs: []Pack{{ID: id, Blobs: blobs[:1]}}},
		"several":    {Packs: []Pack{{ID: id, Blobs: blobs}, {Blobs: []Blob{}}, {Blobs: blobs[1:]}}},
		"superseded": {Supersedes: []format.ID{id, {}}, Packs: []Pack{{ID: id, Blobs: blobs}}},
	} {
		want, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(x.AppendJSON(nil))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
