package fastcdc

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

var sizes = Sizes{Min: 256 << 10, Normal: 512 << 10, Max: 4 << 20}

func random(seed byte, n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

func cutter(t testing.TB, key byte, sizes Sizes) *Cutter {
	t.Helper()
	c, err := New(bytes.Repeat([]byte{key}, 32), sizes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ends returns where pieces end in data.
func ends(c *Cutter, data []byte) (at []int) {
	for done := 0; done < len(data); {
		done += c.Next(data[done:])
		at = append(at, done)
	}
	return at
}

// naive is Next, byte by byte, as its documentation describes it.
func naive(c *Cutter, data []byte) int {
	data = data[:min(len(data), c.sizes.Max)]
	var hash uint64
	for i, b := range data {
		hash = hash<<1 + c.gear[b]
		size := i + 1
		mask := c.before
		if size > c.sizes.Normal {
			mask = c.then
		}
		if size > c.sizes.Min && hash&mask == 0 {
			return size
		}
	}
	return len(data)
}

func TestNextIsFastCDC(t *testing.T) {
	small := Sizes{Min: 64, Normal: 128, Max: 1000}
	data := random(1, 1<<20)
	for _, s := range []Sizes{
		small, {Min: 70, Normal: 256, Max: 256}, {Min: 128, Normal: 128, Max: 2000}, {Min: 4 << 10, Normal: 8 << 10, Max: 64 << 10},
	} {
		c := cutter(t, 1, s)
		found := 0
		for at := 0; at < len(data); {
			n, want := c.Next(data[at:]), naive(c, data[at:])
			if n != want {
				t.Fatalf("%+v: the piece at %d has %d bytes and should have %d", s, at, n, want)
			}
			if n < s.Max && at+n < len(data) {
				found++
			}
			at += n
		}
		if found < 10 {
			t.Errorf("%+v: the content decided %d times", s, found)
		}
	}
	c := cutter(t, 1, small)
	for length := range 300 { // the bytes that are there decide, also where they end
		for _, seed := range []byte{1, 2, 3} {
			if n, want := c.Next(random(seed, length)), naive(c, random(seed, length)); n != want {
				t.Fatalf("%d bytes: %d, and should be %d", length, n, want)
			}
		}
	}
}

// TestSizes checks the sizes against their limits, and against what FastCDC promises: most are close to the normal one.
func TestSizes(t *testing.T) {
	data := random(2, 256<<20)
	last, near := 0, 0
	all := ends(cutter(t, 1, sizes), data)
	for _, end := range all[:len(all)-1] {
		size := end - last
		if size <= sizes.Min || size > sizes.Max {
			t.Errorf("a piece of %d bytes", size)
		}
		if size > sizes.Normal/2 && size < sizes.Normal*2 {
			near++
		}
		last = end
	}
	if mean := len(data) / len(all); mean < 550<<10 || mean > 700<<10 || near < len(all)*9/10 {
		t.Errorf("%d pieces of %d bytes in the mean, %d of them close to %d", len(all), mean, near, sizes.Normal)
	}
	zeros := make([]byte, 10<<20)
	if got := ends(cutter(t, 1, sizes), zeros); len(got) > 1+len(zeros)/sizes.Min {
		t.Errorf("zeros are cut at %v", got)
	}
}

// TestContentDecides: inserted bytes move the cuts behind them, and soon all cuts are the same again.
func TestContentDecides(t *testing.T) {
	c := cutter(t, 1, sizes)
	data := random(3, 32<<20)
	want := ends(c, data)
	for _, at := range []int{0, 1, 5 << 20, 16<<20 + 3} {
		changed := slices.Concat(data[:at], []byte("put in"), data[at:])
		var got []int
		for _, end := range ends(c, changed) {
			if end > at+8<<20 {
				got = append(got, end-len("put in"))
			}
		}
		var rest []int
		for _, end := range want {
			if end+len("put in") > at+8<<20 {
				rest = append(rest, end)
			}
		}
		if !slices.Equal(got, rest) || len(got) < 5 {
			t.Errorf("6 bytes at %d: cut at %v, not %v", at, got, rest)
		}
	}
}

func TestKeyDecides(t *testing.T) {
	data := random(4, 16<<20)
	one, again, other := ends(cutter(t, 1, sizes), data), ends(cutter(t, 1, sizes), data), ends(cutter(t, 2, sizes), data)
	if !slices.Equal(one, again) {
		t.Errorf("cut at %v, and then at %v", one, again)
	}
	for _, end := range other[:len(other)-1] {
		if slices.Contains(one, end) {
			t.Errorf("two keys cut at %d", end)
		}
	}
}

// TestCutsStay has the cuts of a known stream: if they change, everything that is backed up is stored once more.
func TestCutsStay(t *testing.T) {
	got := ends(cutter(t, 1, sizes), random(5, 4<<20))
	if want := []int{594440, 1211659, 1780148, 2340550, 2742034, 3348451, 4072689, 4194304}; !slices.Equal(got, want) {
		t.Errorf("cut at %v, not %v", got, want)
	}
}

func TestSizesThatMakeNoSense(t *testing.T) {
	for _, s := range []Sizes{
		{}, {Min: 63, Normal: 64, Max: 64}, {Min: 64, Normal: 100, Max: 200}, {Min: 256, Normal: 128, Max: 512},
		{Min: 64, Normal: 256, Max: 128},
	} {
		if c, err := New(make([]byte, 32), s); err == nil {
			t.Errorf("%+v: %+v", s, c.sizes)
		}
	}
	if _, err := New(make([]byte, minKey-1), sizes); err == nil {
		t.Error("a key that is too short is taken")
	}
}

func BenchmarkNext(b *testing.B) {
	c, data := cutter(b, 1, sizes), random(6, 64<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		for rest := data; len(rest) > 0; {
			rest = rest[c.Next(rest):]
		}
	}
}
