package repository

import (
	"bytes"
	"io/fs"
	"math"
	"time"
	"unicode/utf8"
)

// The entries of directories are decoded here as they are encoded in encode.go: a backup reads those of the last one, and
// package json took half of its time for that. What is not written as it is there is left to package json.

// decodeNode reads a node from the beginning of data, and returns how many bytes it has. It is 0, and n is of no use, if
// the node is not written in the ordinary way, or is no node at all.
func decodeNode(data []byte, n *Node) int {
	r := nodeReader{data: data, ordinary: true}
	r.expect(`{"name":`)
	n.Name = r.text()
	r.expect(`,"type":`)
	n.Type = r.nodeType()
	r.optional(`,"mode":`, func() { n.Mode = fs.FileMode(r.number(math.MaxUint32)) })
	r.expect(`,"mtime":`)
	n.ModTime = r.time()
	r.expect(`,"atime":`)
	n.AccessTime = r.time()
	r.expect(`,"ctime":`)
	n.ChangeTime = r.time()
	r.expect(`,"uid":`)
	n.UID = uint32(r.number(math.MaxUint32))
	r.expect(`,"gid":`)
	n.GID = uint32(r.number(math.MaxUint32))
	r.optional(`,"user":`, func() { n.User = r.text() })
	r.optional(`,"group":`, func() { n.Group = r.text() })
	r.optional(`,"inode":`, func() { n.Inode = r.number(math.MaxUint64) })
	r.optional(`,"device_id":`, func() { n.DeviceID = r.number(math.MaxUint64) })
	r.optional(`,"size":`, func() { n.Size = r.number(math.MaxUint64) })
	r.optional(`,"links":`, func() { n.Links = r.number(math.MaxUint64) })
	r.optional(`,"linktarget":`, func() { n.LinkTarget = r.text() })
	r.optional(`,"device":`, func() { n.Device = r.number(math.MaxUint64) })
	r.expect(`,"content":`)
	n.Content = r.ids()
	r.optional(`,"subtree":`, func() {
		id := r.id()
		n.Subtree = &id
	})
	r.expect(`}`)
	if !r.ordinary {
		return 0
	}
	return r.at
}

// nodeReader goes through the bytes of a node.
type nodeReader struct {
	data     []byte
	at       int
	ordinary bool // so far
}

func (r *nodeReader) fail() { r.ordinary = false }

// skip passes over a literal, if it is next.
func (r *nodeReader) skip(literal string) bool {
	rest := r.data[r.at:]
	if len(rest) < len(literal) || string(rest[:len(literal)]) != literal {
		return false
	}
	r.at += len(literal)
	return true
}

func (r *nodeReader) expect(literal string) {
	if r.ordinary && !r.skip(literal) {
		r.fail()
	}
}

// optional reads a field that may be left out.
func (r *nodeReader) optional(field string, read func()) {
	if r.ordinary && r.skip(field) {
		read()
	}
}

// quoted returns what is between two quotation marks, if that stands for itself, in JSON as in a Go string literal.
func (r *nodeReader) quoted() []byte {
	if r.expect(`"`); !r.ordinary {
		return nil
	}
	rest := r.data[r.at:]
	for i, c := range rest {
		switch {
		case c == '"':
			r.at += i + 1
			return rest[:i]
		case c < ' ', c == '\\':
			r.fail()
			return nil
		}
	}
	r.fail()
	return nil
}

func (r *nodeReader) text() string {
	text := r.quoted()
	if !utf8.Valid(text) { // package json would put something else into its place
		r.fail()
	}
	return string(text)
}

// nodeType is text for which no memory is needed.
func (r *nodeReader) nodeType() NodeType {
	start := r.at
	text := r.quoted()
	for _, known := range []NodeType{FileNode, DirNode, SymlinkNode} {
		if string(text) == string(known) {
			return known
		}
	}
	r.at = start
	return NodeType(r.text())
}

func (r *nodeReader) number(most uint64) uint64 {
	start, value := r.at, uint64(0)
	for ; r.at < len(r.data); r.at++ {
		digit := uint64(r.data[r.at] - '0')
		if digit > 9 {
			break
		}
		if value > (math.MaxUint64-digit)/10 {
			r.fail()
			return 0
		}
		value = value*10 + digit
	}
	if r.at == start || value > most || r.data[start] == '0' && r.at > start+1 {
		r.fail()
	}
	return value
}

func (r *nodeReader) time() (at time.Time) {
	if text := r.quoted(); r.ordinary && at.UnmarshalText(text) != nil {
		r.fail()
	}
	return at
}

func (r *nodeReader) id() (id ID) {
	if text := r.quoted(); r.ordinary && id.UnmarshalText(text) != nil {
		r.fail()
	}
	return id
}

// ids reads a list of ids without spaces, or null.
func (r *nodeReader) ids() idList {
	if !r.ordinary || r.skip(`null`) {
		return nil
	}
	const width = len(`"",`) + 2*len(ID{})
	end := bytes.IndexByte(r.data[r.at:], ']')
	if r.expect(`[`); end != 1 && (end <= 0 || end%width != 0) {
		r.fail()
	}
	if !r.ordinary {
		return nil
	}
	list := make(idList, end/width)
	for i := range list {
		if i > 0 {
			r.expect(`,`)
		}
		list[i] = r.id()
	}
	r.expect(`]`)
	return list
}
