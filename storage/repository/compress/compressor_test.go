package compress

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// randomBytes are always the same.
func randomBytes(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // it never fails
	return data
}

// hardText is text that hardly repeats itself.
func hardText(n int) []byte {
	var text bytes.Buffer
	numbers := rand.New(rand.NewPCG(1, 2))
	for text.Len() < n {
		for range 2 + numbers.IntN(9) {
			text.WriteByte(byte('a' + min(numbers.IntN(26), numbers.IntN(26))))
		}
		text.WriteByte(' ')
	}
	return text.Bytes()[:n]
}

// rows alternate noise with something that repeats.
func rows(n int) []byte {
	var data bytes.Buffer
	for value := randomBytes(n); data.Len() < n; value = value[500:] {
		data.Write(value[:500])
		data.WriteString(strings.Repeat(`{"a field":"of a document"},`, 18))
	}
	return data.Bytes()[:n]
}

func TestCompressor(t *testing.T) {
	const mib = 1 << 20
	half := append(randomBytes(mib/2), hardText(mib/2)...)
	for _, test := range []struct {
		name  string
		plain []byte
		// most is how large the compressed form may be, as a fraction; 0 means that there must be none.
		most float64
	}{
		{"zeros", make([]byte, mib), 0.001},
		{"text", hardText(mib), 0.6},
		{"short text", hardText(3000), 0.7},
		{"text that is too short for a sample", hardText(100_000), 0.6},
		{"noise and repeats", rows(mib), 0.53},
		{"half noise, half text", half, 0.8},
		{"noise", randomBytes(mib), 0},
		{"a little more than a sample", randomBytes(sampledBlob), 0},
	} {
		for _, level := range []Level{Fast, Default} {
			t.Run(fmt.Sprintf("%s, %s", test.name, level), func(t *testing.T) {
				c, err := NewCompressor(level)
				if err != nil {
					t.Fatal(err)
				}
				packed := c.Compress([]byte("before"), test.plain)
				packed, ok := bytes.CutPrefix(packed, []byte("before"))
				if !ok {
					t.Fatal("what was there before is gone")
				}
				if share := float64(len(packed)) / float64(len(test.plain)); share > test.most {
					t.Errorf("compressed to %.3f, want at most %.3f", share, test.most)
				}
				if len(packed) > c.Bound(len(test.plain)) {
					t.Errorf("%d bytes are more than the bound", len(packed))
				}
				if len(packed) > 0 && !bytes.Equal(decompressed(t, packed), test.plain) {
					t.Error("does not come back")
				}
			})
		}
	}
}

func decompressed(t *testing.T, packed []byte) []byte {
	t.Helper()
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	plain, err := decoder.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// The shortcuts must cost little: no more than a fiftieth of the size that the level itself reaches for large blobs.
func TestShortcutsCostLittle(t *testing.T) {
	thorough, err := newEncoder(Default.zstd())
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCompressor(Default)
	if err != nil {
		t.Fatal(err)
	}
	for name, plain := range map[string][]byte{"text": hardText(1 << 20), "noise and repeats": rows(1 << 20), "noise": randomBytes(1 << 20)} {
		want, got := len(thorough.EncodeAll(plain, nil)), len(c.Compress(nil, plain))
		if got > want+want/50 {
			t.Errorf("%s: %d bytes, by the level itself %d", name, got, want)
		}
	}
}

func TestSampleIsFromAllOver(t *testing.T) {
	plain := make([]byte, sampledBlob+7)
	for i := range plain {
		plain[i] = byte(i / (len(plain) / sampleParts))
	}
	sample := appendSample(nil, plain)
	for part := range sampleParts {
		if n := bytes.Count(sample, []byte{byte(part)}); n != samplePart {
			t.Errorf("%d bytes of part %d", n, part)
		}
	}
}

func TestEntropy(t *testing.T) {
	for _, test := range []struct {
		data []byte
		want float64
	}{
		{nil, 0},
		{[]byte("aaaa"), 0},
		{[]byte("abab"), 1},
		{[]byte("abcdabcd"), 2},
	} {
		if got := entropy(test.data); got != test.want {
			t.Errorf("%q: %v bits, want %v", test.data, got, test.want)
		}
	}
	if got := entropy(randomBytes(1 << 20)); got < 7.99 || got > 8 {
		t.Errorf("noise has %v bits", got)
	}
}
