package treeblob

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository/plainjson"
)

// appendNode appends a node's JSON. It leaves unusual nodes to package json.
func appendNode(buf []byte, n *nodeJSON) ([]byte, error) {
	if !ordinary(n) {
		encoded, err := json.Marshal(n)
		return append(buf, encoded...), err
	}
	buf = plainjson.AppendText(buf, `{"name":`, n.Name)
	buf = plainjson.AppendText(buf, `,"type":`, string(n.Type))
	buf = plainjson.AppendCount(buf, `,"mode":`, uint64(n.Mode))
	buf = plainjson.AppendTime(buf, `,"mtime":"`, n.ModTime)
	buf = plainjson.AppendTime(buf, `,"atime":"`, n.AccessTime)
	buf = plainjson.AppendTime(buf, `,"ctime":"`, n.ChangeTime)
	buf = strconv.AppendUint(append(buf, `,"uid":`...), uint64(n.UID), 10)
	buf = strconv.AppendUint(append(buf, `,"gid":`...), uint64(n.GID), 10)
	buf = plainjson.AppendCount(buf, `,"inode":`, n.Inode)
	buf = plainjson.AppendCount(buf, `,"device_id":`, n.DeviceID)
	buf = plainjson.AppendCount(buf, `,"size":`, n.Size)
	buf = plainjson.AppendCount(buf, `,"links":`, n.Links)
	buf = plainjson.AppendCount(buf, `,"device":`, n.Device)
	buf = append(buf, `,"content":`...)
	if n.Content == nil {
		buf = append(buf, "null"...)
	} else {
		buf = plainjson.AppendIDs(buf, n.Content)
	}
	if n.Subtree != nil {
		buf = plainjson.AppendID(append(buf, `,"subtree":`...), *n.Subtree)
	}
	return append(buf, '}'), nil
}

// ordinary reports whether a node has only what almost all nodes have.
func ordinary(n *nodeJSON) bool {
	if n.User != "" || n.Group != "" || n.LinkTarget != "" || len(n.LinkTargetRaw) > 0 || len(n.ExtendedAttributes) > 0 {
		return false
	}
	for _, t := range []time.Time{n.ModTime, n.AccessTime, n.ChangeTime} {
		if t.Location() != time.UTC || t.Year() < 0 || t.Year() > 9999 {
			return false
		}
	}
	return plainjson.Plain(n.Name) && plainjson.Plain(string(n.Type))
}
