package format

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// ID names a blob or an object: a SHA-256.
type ID [sha256.Size]byte

// Hash returns the ID of data.
func Hash(data []byte) ID { return sha256.Sum256(data) }

// ParseID reads the 64 lower-case hex digits of an ID.
func ParseID(s string) (ID, error) {
	var id ID
	if err := id.UnmarshalText([]byte(s)); err != nil {
		return ID{}, err
	}
	return id, nil
}

// String returns the ID as 64 lower-case hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short returns the first eight digits: enough for a message.
func (id ID) Short() string { return hex.EncodeToString(id[:4]) }

// MarshalText returns the ID as 64 lower-case hex digits.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what MarshalText writes, and nothing else.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(id)) {
		return fmt.Errorf("%.80q is not an id: %d characters instead of %d", text, len(text), hex.EncodedLen(len(id)))
	}
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%q is not an id: not lower-case hex", text)
		}
	}
	_, err := hex.Decode(id[:], text)
	return err
}

// Compare orders IDs by their bytes.
func Compare(a, b ID) int { return bytes.Compare(a[:], b[:]) }
