package treeblob

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/plainjson"
)

// Type says what an entry of a directory is. The values are those of the format's JSON.
type Type string

// The types of entries.
const (
	File       Type = "file"
	Dir        Type = "dir"
	Symlink    Type = "symlink"
	Device     Type = "dev"
	CharDevice Type = "chardev"
	Fifo       Type = "fifo"
	Socket     Type = "socket"
)

// Node is one entry of a directory. Its JSON is part of the format, byte for byte: the order of the fields counts.
type Node struct {
	Name       string      `json:"name"`
	Type       Type        `json:"type"`
	Mode       fs.FileMode `json:"mode,omitempty"`
	ModTime    time.Time   `json:"mtime"`
	AccessTime time.Time   `json:"atime"`
	ChangeTime time.Time   `json:"ctime"`
	UID        uint32      `json:"uid"`
	GID        uint32      `json:"gid"`
	User       string      `json:"user,omitempty"`
	Group      string      `json:"group,omitempty"`
	Inode      uint64      `json:"inode,omitempty"`
	// DeviceID is set for entries with several links. Entries with equal DeviceID and Inode are one file.
	DeviceID   uint64 `json:"device_id,omitempty"`
	Size       uint64 `json:"size,omitempty"`
	Links      uint64 `json:"links,omitempty"`
	LinkTarget string `json:"linktarget,omitempty"`
	// LinkTargetRaw holds the target if it is not valid UTF-8.
	LinkTargetRaw      []byte        `json:"linktarget_raw,omitempty"`
	ExtendedAttributes attributeList `json:"extended_attributes,omitempty"`
	// Device is the number of a device node.
	Device uint64 `json:"device,omitempty"`
	// Content names a file's data blobs in order; nil if the entry is no file.
	Content idList `json:"content"`
	// Subtree names a directory's tree blob.
	Subtree *format.ID `json:"subtree,omitempty"`
}

// ExtendedAttribute is one extended attribute of an entry.
type ExtendedAttribute struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

// nodeJSON is Node without its methods.
type nodeJSON Node

// MarshalJSON writes the node as the format prescribes.
func (n Node) MarshalJSON() ([]byte, error) { return n.appendJSON(nil) }

// appendJSON appends what MarshalJSON writes; package json would go through it once more if it called MarshalJSON.
// Names may hold any bytes, so they are quoted, and years that RFC 3339 cannot express are clamped.
func (n Node) appendJSON(buf []byte) ([]byte, error) {
	if !plainjson.Plain(n.Name) {
		n.Name = quoteName(n.Name)
	}
	n.ModTime, n.AccessTime, n.ChangeTime = clampYear(n.ModTime), clampYear(n.AccessTime), clampYear(n.ChangeTime)
	if !utf8.ValidString(n.LinkTarget) {
		n.LinkTargetRaw = []byte(n.LinkTarget)
	}
	return appendNode(buf, (*nodeJSON)(&n))
}

// UnmarshalJSON reads what MarshalJSON writes. It does not check the name.
func (n *Node) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, (*nodeJSON)(n)); err != nil {
		return err
	}
	name, err := strconv.Unquote(`"` + n.Name + `"`)
	if err != nil {
		return fmt.Errorf("name %.80q is not quoted as it must be", n.Name)
	}
	n.Name = name
	if n.LinkTargetRaw != nil {
		n.LinkTarget, n.LinkTargetRaw = string(n.LinkTargetRaw), nil
	}
	return nil
}

// idList and attributeList are lists that take no more memory than a few times their JSON: package json goes on after
// an element of another type, so it would decode ten million zeros to ten million elements before refusing them.
type (
	idList        []format.ID
	attributeList []ExtendedAttribute
)

// UnmarshalJSON reads a list of ids.
func (l *idList) UnmarshalJSON(data []byte) error {
	const width = len(`"",`) + 2*len(format.ID{})
	commas := bytes.Count(data, []byte{','})
	if commas > len(data)/width {
		return errors.New("a list of ids has other elements")
	}
	if len(data) != (commas+1)*width+1 { // an empty list, or one written with spaces
		return json.Unmarshal(data, (*[]format.ID)(l))
	}
	ids := make([]format.ID, commas+1)
	for i := range ids {
		element := data[1+i*width : (i+1)*width]
		if element[0] != '"' || element[width-2] != '"' || i < commas && data[(i+1)*width] != ',' {
			return json.Unmarshal(data, (*[]format.ID)(l))
		}
		if err := ids[i].UnmarshalText(element[1 : width-2]); err != nil {
			return err
		}
	}
	*l = ids
	return nil
}

// UnmarshalJSON reads a list of extended attributes, up to the first element that is none.
func (l *attributeList) UnmarshalJSON(data []byte) error {
	*l = nil
	decoder := json.NewDecoder(bytes.NewReader(data))
	token, err := decoder.Token()
	if err != nil || token == nil {
		return err
	}
	if token != json.Delim('[') {
		return errors.New("extended attributes are no list")
	}
	for decoder.More() {
		var attribute ExtendedAttribute
		if err := decoder.Decode(&attribute); err != nil {
			return err
		}
		if attribute.Name == "" {
			return errors.New("an extended attribute has no name")
		}
		*l = append(*l, attribute)
	}
	return nil
}

func quoteName(name string) string {
	quoted := strconv.Quote(name)
	return quoted[1 : len(quoted)-1]
}

func clampYear(t time.Time) time.Time {
	year := min(max(t.Year(), 0), 9999)
	if year == t.Year() {
		return t
	}
	return time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// ErrNodeName says that an entry has a name that must not reach a file system.
var ErrNodeName = errors.New("invalid entry name")

// CheckName returns ErrNodeName if the name is not the name of one entry of a directory. A repository is not trusted to
// have no such name, which could lead out of the directory that is being restored into.
func (n Node) CheckName() error {
	if n.Name == "" || n.Name == "." || n.Name == ".." || strings.ContainsAny(n.Name, "/\x00") {
		return fmt.Errorf("%.80q: %w", n.Name, ErrNodeName)
	}
	return nil
}
