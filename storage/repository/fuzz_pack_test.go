package repository

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// treeOfEverything has an entry of each type, with every field set.
func treeOfEverything(f *testing.F) []byte {
	f.Helper()
	at, id := time.Date(2026, 11, 21, 8, 12, 0, 123456789, time.FixedZone("", 3600)), Hash([]byte("x"))
	return treeOf(f, []Node{
		{
			Name:               "a \"<b>\" \n\xff é",
			Type:               FileNode,
			Mode:               0o644 | fs.ModeSetuid,
			ModTime:            at,
			AccessTime:         at,
			ChangeTime:         at,
			UID:                1,
			GID:                2,
			User:               "u",
			Group:              "g",
			Inode:              3,
			DeviceID:           4,
			Size:               5,
			Links:              2,
			ExtendedAttributes: []ExtendedAttribute{{"user.x", []byte{0, 1}}, {"y", nil}},
			Content:            []ID{id, id},
		},
		{Name: "b", Type: DirNode, Mode: fs.ModeDir | 0o755, ModTime: at, Subtree: &id},
		{Name: "c", Type: SymlinkNode, Mode: fs.ModeSymlink | 0o777, LinkTarget: "x\xff"},
		{Name: "d", Type: CharDeviceNode, Mode: fs.ModeDevice | fs.ModeCharDevice, Device: 259},
		{Name: "e", Type: FileNode, Content: []ID{}},
	})
}

// FuzzPackHeader has packs with any table of contents, any length of it, and an index that says anything of their
// second blob. Only the truth is accepted.
func FuzzPackHeader(f *testing.F) {
	repo, _ := produced(f)
	compressor, err := newCompressor(CompressionDefault)
	if err != nil {
		f.Fatal(err)
	}
	packer := &packer{blobType: DataBlob, limit: dataPackSize, sealer: repo.sealer, compressor: compressor}
	for _, blob := range []string{noise("incompressible", 300), string(bytes.Repeat([]byte("text "), 100))} {
		if _, err := packer.add(Hash([]byte(blob)), []byte(blob)); err != nil {
			f.Fatal(err)
		}
	}
	body, blobs := bytes.Clone(packer.buf), packer.blobs
	var want []byte
	for _, blob := range blobs {
		want = appendHeaderEntry(want, blob)
	}
	second := blobs[1]
	f.Add(want, uint32(0), second.Offset, second.Length, second.UncompressedLength)
	f.Add(want, uint32(1), second.Offset, second.Length, second.UncompressedLength)
	f.Add(want[:len(want)-1], uint32(0), second.Offset+1, second.Length, second.UncompressedLength)
	f.Add([]byte{}, uint32(0xffffffff), uint32(0xffffffff), uint32(0xffffffff), uint32(0xffffffff))
	bucket := storagetest.NewMemory()
	f.Fuzz(func(t *testing.T, header []byte, lie, offset, length, plain uint32) {
		if decoded, err := decodeHeader(header); err == nil {
			var again []byte
			for _, blob := range decoded {
				again = appendHeaderEntry(again, blob)
			}
			if !bytes.Equal(again, header) {
				t.Fatalf("header %x was read as %+v", header, decoded)
			}
		}
		sealed, err := repo.sealer.seal(nil, header)
		if err != nil {
			t.Fatal(err)
		}
		data := binary.LittleEndian.AppendUint32(append(bytes.Clone(body), sealed...), uint32(len(sealed))+lie)
		claimed := second
		claimed.Offset, claimed.Length, claimed.UncompressedLength = offset, length, plain
		pack := indexPack{ID: Hash(data), Blobs: []indexBlob{blobs[0], claimed}}
		if pack.check() != nil {
			return
		}
		name := kindData.name(pack.ID)
		if err := bucket.Put(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		work := repo.withIndex(newIndex())
		work.bucket = bucket
		work.index.add(pack)
		c := &checker{repo: work, bad: newBlobSet()}
		err = c.readPack(t.Context(), &checkedPack{id: pack.ID, blobs: pack.Blobs, size: int64(len(data))})
		if truth := bytes.Equal(header, want) && lie == 0 && claimed == second; (err == nil) != truth {
			t.Fatalf("header %x, length off by %d, index %+v: %v", header, lie, claimed, err)
		}
		found, err := work.readHeader(t.Context(), pack.ID, int64(len(data)))
		if truth := bytes.Equal(header, want) &&
			lie == 0; truth && !sameBlobs(found.Blobs, blobs) ||
			err == nil && packSize(found.Blobs) != int64(len(data)) {
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

// FuzzBlob opens sealed bytes of any content, with an index that says anything of their length.
func FuzzBlob(f *testing.F) {
	repo, _ := produced(f)
	text := bytes.Repeat([]byte("text "), 100)
	f.Add(repo.zstd.compress(nil, text), text, uint32(len(text)), true)
	f.Add(repo.zstd.compress(nil, make([]byte, 1<<20)), text, uint32(7), true)
	f.Add(repo.zstd.compress(nil, text), text, uint32(maxBlobSize), true)
	f.Add(text, text, uint32(len(text)), false)
	f.Fuzz(func(t *testing.T, packed, want []byte, length uint32, compressed bool) {
		sealed, err := repo.sealer.seal(nil, packed)
		if err != nil {
			t.Fatal(err)
		}
		blob := indexBlob{ID: Hash(want), Type: TreeBlob, Length: uint32(len(sealed))}
		if compressed {
			blob.UncompressedLength = length
		}
		if blob.check() != nil {
			return
		}
		plain, err := repo.OpenBlob(blob.location(ID{}), blob.ID, sealed, nil)
		if err == nil && !bytes.Equal(plain, want) {
			t.Fatalf("opened %d bytes as %q, not %q", len(packed), plain, want)
		}
		if err != nil && !compressed && bytes.Equal(packed, want) {
			t.Fatalf("what is not compressed: %v", err)
		}
	})
}
