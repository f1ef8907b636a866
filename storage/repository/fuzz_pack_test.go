package repository

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/blobindex"
	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// FuzzPackHeader has packs with any table of contents, of any length, and an index that says anything about their
// second blob. Only the truth is accepted.
func FuzzPackHeader(f *testing.F) {
	repo, _ := produced(f)
	compressor, err := compress.NewCompressor(compress.Default)
	if err != nil {
		f.Fatal(err)
	}
	packer := packfile.NewBuilder(DataBlob, dataPackSize, repo.sealer, compressor)
	packer.Begin(nil)
	for _, blob := range []string{noise("incompressible", 300), string(bytes.Repeat([]byte("text "), 100))} {
		if _, err := packer.Add(Hash([]byte(blob)), []byte(blob)); err != nil {
			f.Fatal(err)
		}
	}
	built, described, err := packer.Finish()
	if err != nil {
		f.Fatal(err)
	}
	body, blobs := built[:described.End()], described.Blobs
	var want []byte
	for _, blob := range blobs {
		want = packfile.AppendHeaderEntry(want, blob)
	}
	second := blobs[1]
	f.Add(want, uint32(0), second.Offset, second.Length, second.UncompressedLength)
	f.Add(want, uint32(1), second.Offset, second.Length, second.UncompressedLength)
	f.Add(want[:len(want)-1], uint32(0), second.Offset+1, second.Length, second.UncompressedLength)
	f.Add([]byte{}, uint32(0xffffffff), uint32(0xffffffff), uint32(0xffffffff), uint32(0xffffffff))
	bucket := storagetest.NewMemory()
	f.Fuzz(func(t *testing.T, header []byte, lie, offset, length, plain uint32) {
		if decoded, err := packfile.DecodeHeader(header); err == nil {
			var again []byte
			for _, blob := range decoded {
				again = packfile.AppendHeaderEntry(again, blob)
			}
			if !bytes.Equal(again, header) {
				t.Fatalf("header %x was read as %+v", header, decoded)
			}
		}
		sealed, err := repo.sealer.Seal(nil, header)
		if err != nil {
			t.Fatal(err)
		}
		data := binary.LittleEndian.AppendUint32(append(bytes.Clone(body), sealed...), uint32(len(sealed))+lie)
		claimed := second
		claimed.Offset, claimed.Length, claimed.UncompressedLength = offset, length, plain
		pack := packfile.Pack{ID: Hash(data), Blobs: []packfile.Blob{blobs[0], claimed}}
		if pack.Check() != nil {
			return
		}
		name := kindData.name(pack.ID)
		if err := bucket.Put(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		work := repo.withIndex(blobindex.New())
		work.bucket = bucket
		work.index.Add(pack)
		c := &checker{repo: work, bad: newBlobSet()}
		err = c.readPack(t.Context(), &checkedPack{id: pack.ID, blobs: pack.Blobs, size: int64(len(data))})
		if truth := bytes.Equal(header, want) && lie == 0 && claimed == second; (err == nil) != truth {
			t.Fatalf("header %x, length off by %d, index %+v: %v", header, lie, claimed, err)
		}
		found, err := work.readHeader(t.Context(), pack.ID, int64(len(data)))
		if truth := bytes.Equal(header, want) &&
			lie == 0; truth && !packfile.SameBlobs(found.Blobs, blobs) ||
			err == nil && packfile.Size(found.Blobs) != int64(len(data)) {
			t.Fatalf("header %x, length off by %d, is read as %+v, %v", header, lie, found, err)
		}
		if blob, err := work.LoadBlob(t.Context(), claimed.Type, claimed.ID); err == nil && Hash(blob) != claimed.ID {
			t.Fatalf("read %d bytes that are not the blob's", len(blob))
		}
		if err := bucket.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzBlob opens any sealed bytes, with an index that claims any length.
func FuzzBlob(f *testing.F) {
	repo, _ := produced(f)
	text := bytes.Repeat([]byte("text "), 100)
	f.Add(repo.zstd.Compress(nil, text), text, uint32(len(text)), true)
	f.Add(repo.zstd.Compress(nil, make([]byte, 1<<20)), text, uint32(7), true)
	f.Add(repo.zstd.Compress(nil, text), text, uint32(format.MaxBlobSize), true)
	f.Add(text, text, uint32(len(text)), false)
	f.Fuzz(func(t *testing.T, packed, want []byte, length uint32, compressed bool) {
		sealed, err := repo.sealer.Seal(nil, packed)
		if err != nil {
			t.Fatal(err)
		}
		blob := packfile.Blob{ID: Hash(want), Type: TreeBlob, Length: uint32(len(sealed))}
		if compressed {
			blob.UncompressedLength = length
		}
		if blob.Check() != nil {
			return
		}
		plain, err := repo.OpenBlob(blob.Location(ID{}), blob.ID, sealed, nil)
		if err == nil && !bytes.Equal(plain, want) {
			t.Fatalf("opened %d bytes as %q, not %q", len(packed), plain, want)
		}
		if err != nil && !compressed && bytes.Equal(packed, want) {
			t.Fatalf("what is not compressed: %v", err)
		}
	})
}
