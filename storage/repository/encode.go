package repository

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// What there is very much of, the entries of directories and of indexes, is encoded here: package json would take four
// times as long, and leave several copies of everything for the garbage collector. The bytes are the same.

// appendNode appends a node's JSON. What is out of the ordinary is left to package json.
func appendNode(buf []byte, n *nodeJSON) ([]byte, error) {
	if !ordinary(n) {
		encoded, err := json.Marshal(n)
		return append(buf, encoded...), err
	}
	buf = appendText(buf, `{"name":`, n.Name)
	buf = appendText(buf, `,"type":`, string(n.Type))
	buf = appendCount(buf, `,"mode":`, uint64(n.Mode))
	buf = appendTime(buf, `,"mtime":"`, n.ModTime)
	buf = appendTime(buf, `,"atime":"`, n.AccessTime)
	buf = appendTime(buf, `,"ctime":"`, n.ChangeTime)
	buf = strconv.AppendUint(append(buf, `,"uid":`...), uint64(n.UID), 10)
	buf = strconv.AppendUint(append(buf, `,"gid":`...), uint64(n.GID), 10)
	buf = appendCount(buf, `,"inode":`, n.Inode)
	buf = appendCount(buf, `,"device_id":`, n.DeviceID)
	buf = appendCount(buf, `,"size":`, n.Size)
	buf = appendCount(buf, `,"links":`, n.Links)
	buf = appendCount(buf, `,"device":`, n.Device)
	buf = append(buf, `,"content":`...)
	if n.Content == nil {
		buf = append(buf, "null"...)
	} else {
		buf = appendIDs(buf, n.Content)
	}
	if n.Subtree != nil {
		buf = appendID(append(buf, `,"subtree":`...), *n.Subtree)
	}
	return append(buf, '}'), nil
}

// ordinary reports whether a node has nothing but what almost all have.
func ordinary(n *nodeJSON) bool {
	if n.User != "" || n.Group != "" || n.LinkTarget != "" || len(n.LinkTargetRaw) > 0 || len(n.ExtendedAttributes) > 0 {
		return false
	}
	for _, t := range []time.Time{n.ModTime, n.AccessTime, n.ChangeTime} {
		if t.Location() != time.UTC || t.Year() < 0 || t.Year() > 9999 {
			return false
		}
	}
	return plain(n.Name) && plain(string(n.Type))
}

// plain reports whether a string stands for itself, in JSON as in a Go string literal.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// appendText appends a field of plain text.
func appendText(buf []byte, field, value string) []byte {
	buf = append(append(buf, field...), '"')
	return append(append(buf, value...), '"')
}

// appendCount appends a field that is left out if it is zero.
func appendCount(buf []byte, field string, value uint64) []byte {
	if value == 0 {
		return buf
	}
	return strconv.AppendUint(append(buf, field...), value, 10)
}

func appendTime(buf []byte, field string, t time.Time) []byte {
	return append(t.AppendFormat(append(buf, field...), time.RFC3339Nano), '"')
}

func appendID(buf []byte, id ID) []byte {
	return append(hex.AppendEncode(append(buf, '"'), id[:]), '"')
}

func appendIDs(buf []byte, ids []ID) []byte {
	buf = append(buf, '[')
	for i, id := range ids {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = appendID(buf, id)
	}
	return append(buf, ']')
}

// appendJSON appends an index object's JSON.
func (x indexObject) appendJSON(buf []byte) []byte {
	buf = append(buf, '{')
	if len(x.Supersedes) > 0 {
		buf = append(appendIDs(append(buf, `"supersedes":`...), x.Supersedes), ',')
	}
	buf = append(buf, `"packs":[`...)
	for i, pack := range x.Packs {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(appendID(append(buf, `{"id":`...), pack.ID), `,"blobs":[`...)
		for j, blob := range pack.Blobs {
			if j > 0 {
				buf = append(buf, ',')
			}
			buf = blob.appendJSON(buf)
		}
		buf = append(buf, "]}"...)
	}
	return append(buf, "]}"...)
}

func (b indexBlob) appendJSON(buf []byte) []byte {
	buf = appendID(append(buf, `{"id":`...), b.ID)
	buf = appendText(buf, `,"type":`, string(b.Type))
	buf = strconv.AppendUint(append(buf, `,"offset":`...), uint64(b.Offset), 10)
	buf = strconv.AppendUint(append(buf, `,"length":`...), uint64(b.Length), 10)
	buf = appendCount(buf, `,"uncompressed_length":`, uint64(b.UncompressedLength))
	return append(buf, '}')
}
