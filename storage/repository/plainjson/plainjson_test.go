package plainjson

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// record has a field of each kind.
type record struct {
	Name  string      `json:"name"`
	Count uint64      `json:"count,omitempty"`
	At    time.Time   `json:"at"`
	ID    format.ID   `json:"id"`
	IDs   []format.ID `json:"ids"`
}

func (r record) appendJSON(buf []byte) []byte {
	buf = AppendText(buf, `{"name":`, r.Name)
	buf = AppendCount(buf, `,"count":`, r.Count)
	buf = AppendTime(buf, `,"at":"`, r.At)
	buf = AppendID(append(buf, `,"id":`...), r.ID)
	return append(AppendIDs(append(buf, `,"ids":`...), r.IDs), '}')
}

func readRecord(data []byte) (r record, ordinary bool) {
	reader := NewReader(data)
	reader.Expect(`{"name":`)
	r.Name = reader.Text()
	reader.Optional(`,"count":`, func() { r.Count = reader.Number(math.MaxUint64) })
	reader.Expect(`,"at":`)
	r.At = reader.Time()
	reader.Expect(`,"id":`)
	r.ID = reader.ID()
	reader.Expect(`,"ids":`)
	r.IDs = reader.IDs()
	reader.Expect(`}`)
	return r, reader.Ordinary() && reader.At() == len(data)
}

// TestRecord writes the same as package json, and reads it. A text that differs by one byte is not ordinary, or package
// json agrees.
func TestRecord(t *testing.T) {
	at, id := time.Date(2026, 11, 21, 8, 12, 0, 120000000, time.UTC), format.Hash([]byte("x"))
	for _, r := range []record{
		{Name: "a name.txt", Count: math.MaxUint64, At: at, ID: id, IDs: []format.ID{id, {}, id}},
		{Name: "", At: at.Truncate(time.Second), IDs: []format.ID{}},
	} {
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		got := r.appendJSON(nil)
		if string(got) != string(want) {
			t.Errorf("%s, want %s", got, want)
		}
		if read, ordinary := readRecord(got); !ordinary || !same(read, r) {
			t.Errorf("%s was read as %+v, %v", got, read, ordinary)
		}
		for i := range got {
			if _, ordinary := readRecord(got[:i]); ordinary {
				t.Errorf("%s is taken for whole", got[:i])
			}
			for _, c := range []byte("0\",]}\\ \xff") {
				changed := slices.Clone(got)
				changed[i] = c
				read, ordinary := readRecord(changed)
				var other record
				if err := json.Unmarshal(changed, &other); ordinary && (err != nil || !same(read, other)) {
					t.Errorf("%s was read as %+v; by package json as %+v, %v", changed, read, other, err)
				}
			}
		}
	}
}

func same(a, b record) bool {
	return a.Name == b.Name && a.Count == b.Count && a.At.Equal(b.At) && a.ID == b.ID && slices.Equal(a.IDs, b.IDs)
}

func TestPlain(t *testing.T) {
	for c := range 256 {
		text := "x" + string([]byte{byte(c)})
		encoded, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if stands := string(encoded) == `"`+text+`"`; Plain(text) && !stands {
			t.Errorf("%q does not stand for itself", text)
		}
	}
	if !Plain("a name.txt") || Plain("é") {
		t.Error("what is plain is ASCII")
	}
}
