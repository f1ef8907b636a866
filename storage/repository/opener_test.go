package repository

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// openable stores blobs of many sizes, some of them compressed, and returns them in the order of their ids.
func openable(t *testing.T) (*Repository, map[ID][]byte, []ID) {
	t.Helper()
	repo, _ := newRepo(t)
	plain, random := map[ID][]byte{}, []byte(noise("opener", 200_000))
	var blobs [][]byte
	for _, size := range []int{0, 1, 63, 64, 65, 127, 128, 1000, 4096, 50_000, 50_001, 199_937} {
		blobs = append(blobs, random[:size], bytes.Repeat([]byte{byte(size), 1}, size))
	}
	ids := saved(t, repo, DataBlob, blobs...)
	for i, id := range ids {
		plain[id] = blobs[i]
	}
	return repo, plain, ids
}

// sealed reads the blobs with these ids.
func sealed(t *testing.T, repo *Repository, ids []ID) []SealedBlob {
	t.Helper()
	var blobs []SealedBlob
	for _, id := range ids {
		at, err := repo.Locate(DataBlob, id)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := repo.ReadPack(t.Context(), at.Pack, int64(at.Offset), nil, int(at.Length))
		if err != nil {
			t.Fatal(err)
		}
		blobs = append(blobs, SealedBlob{ID: id, At: at, Bytes: raw})
	}
	return blobs
}

// outcome opens blobs, and says what became of each: wrong bytes fail the test.
func outcome(t *testing.T, opener *Opener, plain map[ID][]byte, blobs []SealedBlob) map[int]error {
	t.Helper()
	seen := map[int]error{}
	err := opener.Open(blobs, func(number int, got []byte, err error) error {
		if _, twice := seen[number]; twice {
			t.Errorf("blob %d of %d is used twice", number, len(blobs))
		}
		seen[number] = err
		if err == nil && !bytes.Equal(got, plain[blobs[number].ID]) {
			t.Errorf("blob %d of %d has the wrong bytes", number, len(blobs))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(blobs) {
		t.Errorf("%d of %d blobs are used", len(seen), len(blobs))
	}
	return seen
}

func TestOpener(t *testing.T) {
	repo, plain, ids := openable(t)
	random, opener := rand.New(rand.NewPCG(3, 4)), repo.NewOpener()
	for count := range 200 {
		random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		for number, err := range outcome(t, opener, plain, sealed(t, repo, ids[:count%(len(ids)+1)])) {
			if err != nil {
				t.Errorf("blob %d: %v", number, err)
			}
		}
	}
}

// TestOpenerFindsDamage damages one blob after the other: only that blob is refused, by its name.
func TestOpenerFindsDamage(t *testing.T) {
	repo, plain, ids := openable(t)
	damages := map[string]func(*SealedBlob){
		"first byte":     func(b *SealedBlob) { b.Bytes[0] ^= 1 },
		"last byte":      func(b *SealedBlob) { b.Bytes[len(b.Bytes)-1] ^= 0x80 },
		"another length": func(b *SealedBlob) { b.Bytes = b.Bytes[:len(b.Bytes)-1] },
		"another's id":   func(b *SealedBlob) { b.ID = Hash([]byte("none of them")) },
	}
	opener := repo.NewOpener()
	for name, damage := range damages {
		for damaged := range ids {
			blobs := sealed(t, repo, ids)
			damage(&blobs[damaged])
			for number, err := range outcome(t, opener, plain, blobs) {
				if (err != nil) != (number == damaged) {
					t.Errorf("%s of blob %d: blob %d: %v", name, damaged, number, err)
				}
				if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("blob %s at", blobs[number].ID)) {
					t.Errorf("%s: %v, want an error that names the blob", name, err)
				}
			}
		}
	}
}

func TestOpenerStops(t *testing.T) {
	repo, _, ids := openable(t)
	full := errors.New("the target is full")
	for stop := 1; stop <= len(ids); stop++ {
		used := 0
		err := repo.NewOpener().Open(sealed(t, repo, ids), func(int, []byte, error) error {
			if used++; used == stop {
				return full
			}
			return nil
		})
		if !errors.Is(err, full) || used != stop {
			t.Errorf("%v after %d blobs, want what use returned after %d", err, used, stop)
		}
	}
}

// TestOpenerKeepsItsMemory opens blobs of different lengths in turn: buffers are as large as the largest, and used
// again.
func TestOpenerKeepsItsMemory(t *testing.T) {
	const rounds = 20
	repo, _ := newRepo(t)
	text := []byte(prose(2 << 20))
	ids := saved(t, repo, DataBlob, text[:1<<20], text[:1<<19], text[:2<<20], text[:3<<18])
	opener := repo.NewOpener()
	use := func(_ int, _ []byte, err error) error { return err }
	allocated := func() uint64 {
		blobs := sealed(t, repo, ids)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := opener.Open(blobs, use); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	first, later := allocated(), uint64(0)
	for range rounds {
		later += allocated()
	}
	if first < 2<<20 || later/rounds > 256<<10 {
		t.Errorf("%d bytes are allocated at first, and %d each time after it, for blobs of up to 2 MiB", first, later/rounds)
	}
}
