package plainjson

import (
	"bytes"
	"math"
	"time"
	"unicode/utf8"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// Reader goes through JSON that is written in the ordinary way. Once it meets anything else it reads no further: what
// it returns from then on is useless, and in the end Ordinary tells so.
type Reader struct {
	data     []byte
	at       int
	ordinary bool // so far
}

// NewReader reads from the beginning of data.
func NewReader(data []byte) Reader { return Reader{data: data, ordinary: true} }

// Ordinary reports whether everything so far was written in the ordinary way.
func (r *Reader) Ordinary() bool { return r.ordinary }

// At is how many bytes were read.
func (r *Reader) At() int { return r.at }

// Until is how many bytes come before the next c; -1 if there is none.
func (r *Reader) Until(c byte) int { return bytes.IndexByte(r.data[r.at:], c) }

// Fail says that the text was not ordinary.
func (r *Reader) Fail() { r.ordinary = false }

// Skip skips a literal, if it is next.
func (r *Reader) Skip(literal string) bool {
	rest := r.data[r.at:]
	if len(rest) < len(literal) || string(rest[:len(literal)]) != literal {
		return false
	}
	r.at += len(literal)
	return true
}

// Expect skips a literal, which must be next.
func (r *Reader) Expect(literal string) {
	if r.ordinary && !r.Skip(literal) {
		r.Fail()
	}
}

// Optional reads a field that may be missing.
func (r *Reader) Optional(field string, read func()) {
	if r.ordinary && r.Skip(field) {
		read()
	}
}

// quoted returns the text between two quotation marks, if it stands for itself, in JSON and in a Go string literal.
func (r *Reader) quoted() []byte {
	if r.Expect(`"`); !r.ordinary {
		return nil
	}
	rest := r.data[r.at:]
	for i, c := range rest {
		switch {
		case c == '"':
			r.at += i + 1
			return rest[:i]
		case c < ' ', c == '\\':
			r.Fail()
			return nil
		}
	}
	r.Fail()
	return nil
}

// RawText reads a string, and returns the bytes of the JSON itself.
func (r *Reader) RawText() []byte {
	text := r.quoted()
	if !utf8.Valid(text) { // package json would replace invalid bytes
		r.Fail()
	}
	return text
}

// Text reads a string.
func (r *Reader) Text() string { return string(r.RawText()) }

// Number reads a number without a sign, of at most most.
func (r *Reader) Number(most uint64) uint64 {
	start, value := r.at, uint64(0)
	for ; r.at < len(r.data); r.at++ {
		digit := uint64(r.data[r.at] - '0')
		if digit > 9 {
			break
		}
		if value > (math.MaxUint64-digit)/10 {
			r.Fail()
			return 0
		}
		value = value*10 + digit
	}
	if r.at == start || value > most || r.data[start] == '0' && r.at > start+1 {
		r.Fail()
	}
	return value
}

// Time reads a time in RFC 3339 form.
func (r *Reader) Time() (at time.Time) {
	if text := r.quoted(); r.ordinary && at.UnmarshalText(text) != nil {
		r.Fail()
	}
	return at
}

// ID reads an id.
func (r *Reader) ID() (id format.ID) {
	if text := r.quoted(); r.ordinary && id.UnmarshalText(text) != nil {
		r.Fail()
	}
	return id
}

// IDs reads a list of ids without spaces, or null.
func (r *Reader) IDs() []format.ID {
	if !r.ordinary || r.Skip(`null`) {
		return nil
	}
	const width = len(`"",`) + 2*len(format.ID{})
	end := bytes.IndexByte(r.data[r.at:], ']')
	if r.Expect(`[`); end != 1 && (end <= 0 || end%width != 0) {
		r.Fail()
	}
	if !r.ordinary {
		return nil
	}
	list := make([]format.ID, end/width)
	for i := range list {
		if i > 0 {
			r.Expect(`,`)
		}
		list[i] = r.ID()
	}
	r.Expect(`]`)
	return list
}

// Begins reports whether an opened list has an element, and skips the list's end if it has none.
func (r *Reader) Begins() bool { return r.ordinary && !r.Skip(`]`) }

// GoesOn skips what follows an element of a list, and reports whether another element comes.
func (r *Reader) GoesOn() bool {
	if !r.ordinary || r.Skip(`]`) {
		return false
	}
	r.Expect(`,`)
	return r.ordinary
}
