package plainjson

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// Plain reports whether a string stands for itself, in JSON and in a Go string literal.
func Plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// AppendText appends a field of plain text.
func AppendText(buf []byte, field, value string) []byte {
	buf = append(append(buf, field...), '"')
	return append(append(buf, value...), '"')
}

// AppendCount appends a field, but leaves it out if the value is zero.
func AppendCount(buf []byte, field string, value uint64) []byte {
	if value == 0 {
		return buf
	}
	return strconv.AppendUint(append(buf, field...), value, 10)
}

// AppendTime appends a field with a time; field ends with the quotation mark.
func AppendTime(buf []byte, field string, t time.Time) []byte {
	return append(t.AppendFormat(append(buf, field...), time.RFC3339Nano), '"')
}

// AppendID appends an id.
func AppendID(buf []byte, id format.ID) []byte {
	return append(hex.AppendEncode(append(buf, '"'), id[:]), '"')
}

// AppendIDs appends a list of ids.
func AppendIDs(buf []byte, ids []format.ID) []byte {
	buf = append(buf, '[')
	for i, id := range ids {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = AppendID(buf, id)
	}
	return append(buf, ']')
}
