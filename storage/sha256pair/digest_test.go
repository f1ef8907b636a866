package sha256pair

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// makers are the ways to make a Digest on this machine.
func makers(t *testing.T) map[string]func() *Digest {
	t.Helper()
	all := map[string]func() *Digest{
		"New":      New,
		"standard": func() *Digest { return &Digest{standard: sha256.New()} },
	}
	if accelerated() {
		all["accelerated"] = newDigest
	}
	return all
}

func random(seed uint64, n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(data)
	return data
}

// TestKnownSums has the examples for FIPS 180-4 from "SHA Examples" of NIST.
func TestKnownSums(t *testing.T) {
	for message, want := range map[string]string{
		"":    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
	} {
		for name, start := range makers(t) {
			d := start()
			d.Add([]byte(message))
			if sum := d.Sum(); hex.EncodeToString(sum[:]) != want {
				t.Errorf("%s of %q: %x", name, message, sum)
			}
		}
	}
}

// TestEveryLength hashes all lengths up to five blocks, as one part and as two, so that the padding takes one block or
// two.
func TestEveryLength(t *testing.T) {
	data := random(1, 5*blockSize)
	for name, start := range makers(t) {
		for length := range len(data) + 1 {
			want := sha256.Sum256(data[:length])
			for cut := 0; cut <= length; cut += 1 + length/7 {
				d := start()
				d.Add(data[:cut])
				d.Sum() // which changes nothing
				d.Add(data[cut:length])
				if d.Sum() != want {
					t.Fatalf("%s of %d bytes, cut at %d: %x", name, length, cut, d.Sum())
				}
			}
		}
	}
}

// TestBoth hashes two messages in parts of many lengths, alternating between pairs and single parts.
func TestBoth(t *testing.T) {
	choose := rand.New(rand.NewPCG(1, 2))
	kinds := makers(t)
	for name, start := range kinds {
		for other, startOther := range kinds {
			for round := range 200 {
				data := [2][]byte{random(uint64(round), choose.IntN(4000)), random(uint64(round)+1000, choose.IntN(4000))}
				digests := [2]*Digest{start(), startOther()}
				for at := [2]int{}; at[0] < len(data[0]) || at[1] < len(data[1]); {
					var parts [2][]byte
					for i := range parts {
						n := min(choose.IntN(1+choose.IntN(700)), len(data[i])-at[i])
						parts[i] = data[i][at[i] : at[i]+n]
						at[i] += n
					}
					if choose.IntN(4) == 0 {
						digests[1].Add(parts[1])
						parts[1] = nil
					}
					Both(digests[0], parts[0], digests[1], parts[1])
				}
				for i, d := range digests {
					if d.Sum() != sha256.Sum256(data[i]) {
						t.Fatalf("%s beside %s, round %d: message %d of %d bytes is wrong", name, other, round, i, len(data[i]))
					}
				}
			}
		}
	}
}

// TestStateIsCarried hashes as much as a pack holds, so that an error in any bit of the state would spread.
func TestStateIsCarried(t *testing.T) {
	pack, piece := random(7, 8<<20), random(8, 512<<10)
	d := New()
	for at := 0; at < len(pack); at += len(piece) {
		e := New()
		Both(d, pack[at:min(at+len(piece), len(pack))], e, piece)
		if e.Sum() != sha256.Sum256(piece) {
			t.Fatalf("the piece beside the part at %d is wrong", at)
		}
	}
	if d.Sum() != sha256.Sum256(pack) {
		t.Error("the whole is wrong")
	}
}

func TestNothingIsAllocatedForParts(t *testing.T) {
	d, e, data := New(), New(), random(9, 10_000)
	if n := testing.AllocsPerRun(100, func() { Both(d, data, e, data[:7000]) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzBoth compares with the standard library for any parts.
func FuzzBoth(f *testing.F) {
	f.Add([]byte("abc"), []byte{}, uint16(1), uint16(0))
	f.Add(random(1, 300), random(2, 200), uint16(63), uint16(65))
	f.Fuzz(func(t *testing.T, a, b []byte, cutA, cutB uint16) {
		i, j := min(int(cutA), len(a)), min(int(cutB), len(b))
		d, e := New(), New()
		Both(d, a[:i], e, b[:j])
		Both(d, a[i:], e, b[j:])
		if d.Sum() != sha256.Sum256(a) || e.Sum() != sha256.Sum256(b) {
			t.Errorf("%x and %x", d.Sum(), e.Sum())
		}
	})
}

func BenchmarkBoth(b *testing.B) {
	p, q := random(1, 512<<10), random(2, 512<<10)
	b.SetBytes(int64(len(p) + len(q)))
	for b.Loop() {
		Both(New(), p, New(), q)
	}
}

func BenchmarkOneAfterTheOther(b *testing.B) {
	p, q := random(1, 512<<10), random(2, 512<<10)
	b.SetBytes(int64(len(p) + len(q)))
	for b.Loop() {
		sha256.Sum256(p)
		sha256.Sum256(q)
	}
}
