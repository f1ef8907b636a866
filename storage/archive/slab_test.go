package archive

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stsbackup/stsbackup/storage/fastcdc"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// TestSlabsDoNotDecideWhereToCut: a file that takes several slabs is cut as if it lay in one. Otherwise equal parts of
// two files would be found only by chance.
func TestSlabsDoNotDecideWhereToCut(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{3}, 32)
	cutter, err := fastcdc.New(key, fastcdc.Sizes{Min: minPiece, Normal: normalPiece, Max: maxPiece})
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 40<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	// A run of equal bytes has no end of a piece in it, so pieces get as large as allowed.
	uncut := slices.Concat(noise[:7<<20], bytes.Repeat([]byte{7}, 11<<20), noise[7<<20:20<<20])
	for name, data := range map[string][]byte{
		"noise":                   noise,
		"a stretch without ends":  uncut,
		"nothing but that":        bytes.Repeat([]byte{7}, 3*maxPiece+5),
		"a byte less than a slab": noise[:slabSize-1],
		"a slab":                  noise[:slabSize],
		"a byte more":             noise[:slabSize+1],
		"the largest piece":       noise[:maxPiece],
		"hardly large":            noise[:minPiece+1],
	} {
		var want []int
		for rest := data; len(rest) > 0; {
			want = append(want, cutter.Next(rest))
			rest = rest[want[len(want)-1]:]
		}
		if got := piecesOf(t, key, data); !slices.Equal(got, want) {
			t.Errorf("%s: cut into %v, not %v", name, got, want)
		}
	}
}

// piecesOf sends data through slabs, compares the pieces with the data, and returns their sizes.
func piecesOf(t *testing.T, key, data []byte) (sizes []int) {
	t.Helper()
	slabs, err := newSlabs(key)
	if err != nil {
		t.Fatal(err)
	}
	jobs, emptied := make(chan []job), make(chan struct{})
	go func() {
		defer close(emptied)
		at := 0
		for batch := range jobs {
			for _, j := range batch {
				if !bytes.Equal(j.piece, data[at:at+len(j.piece)]) {
					t.Errorf("the piece at %d is not what lies there", at)
				}
				at += len(j.piece)
				sizes = append(sizes, len(j.piece))
				j.slab.release()
			}
		}
	}()
	w := newWalker(nil)
	w.ctx, w.slabs, w.jobs = t.Context(), slabs, jobs
	file := newPendingFile(newPendingDir(nil, &treeblob.Node{}), &treeblob.Node{})
	done, err := w.stretch(bytes.NewReader(data), int64(len(data)), 0, file)
	if err == nil {
		err = w.releaseSmall()
	}
	close(jobs)
	<-emptied
	if err != nil || done != int64(len(data)) {
		t.Fatalf("%d of %d bytes are read: %v", done, len(data), err)
	}
	return sizes
}
