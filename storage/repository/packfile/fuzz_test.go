package packfile

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

// constant is no randomness at all: a fuzz target must do the same with an input every time, or the fuzzer follows
// noise.
type constant struct{}

func (constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0x5a
	}
	return len(p), nil
}

// built is a pack of a few blobs.
func built(t testing.TB, blobType format.BlobType) ([]byte, Pack) {
	t.Helper()
	key, err := seal.NewKey(constant{})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(key, constant{})
	if err != nil {
		t.Fatal(err)
	}
	compressor, err := compress.NewCompressor(compress.Default)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuilder(blobType, 1<<20, sealer, compressor)
	b.Begin(nil)
	for _, blob := range []string{"", "short", string(bytes.Repeat([]byte("text "), 100))} {
		if _, err := b.Add(b.Name([]byte(blob)), []byte(blob)); err != nil {
			t.Fatal(err)
		}
	}
	data, pack, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return data, pack
}

// TestBuilder checks that packs match their descriptions.
func TestBuilder(t *testing.T) {
	for _, blobType := range []format.BlobType{format.DataBlob, format.TreeBlob} {
		data, pack := built(t, blobType)
		if err := pack.Check(); err != nil || pack.ID != format.Hash(data) || Size(pack.Blobs) != int64(len(data)) || len(pack.Blobs) != 3 {
			t.Errorf("%d bytes, %+v, %v", len(data), pack, err)
		}
		var header []byte
		for _, blob := range pack.Blobs {
			header = AppendHeaderEntry(header, blob)
		}
		if blobs, err := DecodeHeader(header); err != nil || !SameBlobs(blobs, pack.Blobs) {
			t.Errorf("%+v, %v, want %+v", blobs, err, pack.Blobs)
		}
	}
}

// FuzzIndex reads index objects and compares with package json, and re-reads what it has read of an accepted one.
func FuzzIndex(f *testing.F) {
	_, data := built(f, format.DataBlob)
	_, tree := built(f, format.TreeBlob)
	f.Add(IndexObject{Packs: []Pack{data, tree}}.AppendJSON(nil))
	f.Add([]byte(resticIndex))
	f.Add([]byte(`{"packs":[{"id":"` + format.ID{}.String() + `","blobs":[{},0,null]}]}`))
	f.Fuzz(func(t *testing.T, plain []byte) {
		indexDecodesAlike(t, plain)
		object, err := DecodeIndex(plain)
		if err == nil {
			err = object.Check()
		}
		var packs []Pack
		eachErr := EachPack(plain, func(pack Pack) { packs = append(packs, pack) })
		if err != nil && eachErr == nil {
			t.Fatalf("%s is accepted pack by pack; as a whole: %v", plain, err)
		}
		if err != nil || eachErr != nil { // one with two lists of packs may be refused for the first list alone
			return
		}
		if len(packs) < len(object.Packs) {
			t.Fatalf("%d packs of %d were handed on", len(packs), len(object.Packs))
		}
		first, err := json.Marshal(object)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := DecodeIndex(first)
		if err != nil {
			t.Fatalf("%s cannot be read again: %v", first, err)
		}
		if second, err := json.Marshal(again); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s was read as %s, %v", first, second, err)
		}
		for _, pack := range object.Packs {
			if size := Size(pack.Blobs); size < 0 || size > math.MaxUint32*2 {
				t.Fatalf("pack %s has size %d", pack.ID, size)
			}
		}
	})
}

// FuzzHeader reads tables of contents, and writes the same bytes again.
func FuzzHeader(f *testing.F) {
	for _, blobType := range []format.BlobType{format.DataBlob, format.TreeBlob} {
		_, pack := built(f, blobType)
		var header []byte
		for _, blob := range pack.Blobs {
			header = AppendHeaderEntry(header, blob)
		}
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		blobs, err := DecodeHeader(header)
		if err != nil {
			return
		}
		var again []byte
		for _, blob := range blobs {
			again = AppendHeaderEntry(again, blob)
		}
		if !bytes.Equal(again, header) {
			t.Fatalf("header %x was read as %+v", header, blobs)
		}
	})
}
