package treeblob

import (
	"io/fs"
	"math"

	"github.com/stsbackup/stsbackup/storage/repository/plainjson"
)

// decodeNode reads a node from the beginning of data, and returns how many bytes it has. It returns 0, and n is
// useless, if the node is not written in the ordinary way, or is no node at all.
func decodeNode(data []byte, n *Node) int {
	r := plainjson.NewReader(data)
	r.Expect(`{"name":`)
	n.Name = r.Text()
	r.Expect(`,"type":`)
	n.Type = nodeType(&r)
	r.Optional(`,"mode":`, func() { n.Mode = fs.FileMode(r.Number(math.MaxUint32)) })
	r.Expect(`,"mtime":`)
	n.ModTime = r.Time()
	r.Expect(`,"atime":`)
	n.AccessTime = r.Time()
	r.Expect(`,"ctime":`)
	n.ChangeTime = r.Time()
	r.Expect(`,"uid":`)
	n.UID = uint32(r.Number(math.MaxUint32))
	r.Expect(`,"gid":`)
	n.GID = uint32(r.Number(math.MaxUint32))
	r.Optional(`,"user":`, func() { n.User = r.Text() })
	r.Optional(`,"group":`, func() { n.Group = r.Text() })
	r.Optional(`,"inode":`, func() { n.Inode = r.Number(math.MaxUint64) })
	r.Optional(`,"device_id":`, func() { n.DeviceID = r.Number(math.MaxUint64) })
	r.Optional(`,"size":`, func() { n.Size = r.Number(math.MaxUint64) })
	r.Optional(`,"links":`, func() { n.Links = r.Number(math.MaxUint64) })
	r.Optional(`,"linktarget":`, func() { n.LinkTarget = r.Text() })
	r.Optional(`,"device":`, func() { n.Device = r.Number(math.MaxUint64) })
	r.Expect(`,"content":`)
	n.Content = r.IDs()
	r.Optional(`,"subtree":`, func() {
		id := r.ID()
		n.Subtree = &id
	})
	r.Expect(`}`)
	if !r.Ordinary() {
		return 0
	}
	return r.At()
}

// nodeType reads a type. Known types take no memory.
func nodeType(r *plainjson.Reader) Type {
	text := r.RawText()
	for _, known := range []Type{File, Dir, Symlink} {
		if string(text) == string(known) {
			return known
		}
	}
	return Type(text)
}
