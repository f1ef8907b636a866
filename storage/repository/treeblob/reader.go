package treeblob

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// minNodeSize is less than the shortest entry of a directory takes in a tree: its times alone take more. A tree with
// more entries than that allows would take very many times its own size in memory.
const minNodeSize = 64

// order makes sure that the entries of a tree come in the order of their names.
type order struct {
	last  string
	begun bool
}

// next checks the next entry. Each name must be a plain one, and occur once.
func (o *order) next(node *Node) error {
	if err := node.CheckName(); err != nil {
		return err
	}
	if o.begun && node.Name <= o.last {
		return fmt.Errorf("entry %.80q does not come after %.80q", node.Name, o.last)
	}
	o.begun, o.last = true, node.Name
	return nil
}

// Reader reads the entries of a tree whose bytes are in memory.
type Reader struct {
	data []byte
	at   int // index in data of the next entry
	// slow reads the list, from slowFrom on, while entries are not written like ours.
	slow     *json.Decoder
	slowFrom int
	order    order
	ended    bool
}

// ErrNoTree says that a blob is no tree.
var ErrNoTree = errors.New("no list of nodes")

// Open finds the list of nodes in the bytes of a tree. Fields that the format does not have yet may come before or
// behind it.
func Open(data []byte) (*Reader, error) {
	t := &Reader{data: data}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := expect(decoder, json.Delim('{')); err != nil {
		return nil, err
	}
	for decoder.More() {
		field, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		if field == "nodes" {
			if err := expect(decoder, json.Delim('[')); err != nil {
				return nil, err
			}
			t.at = int(decoder.InputOffset())
			return t, nil
		}
		if err := skip(decoder); err != nil {
			return nil, err
		}
	}
	return nil, ErrNoTree
}

func expect(decoder *json.Decoder, want json.Token) error {
	token, err := decoder.Token()
	if err != nil || token != want {
		return errors.Join(ErrNoTree, unexpected(err))
	}
	return nil
}

// unexpected turns io.EOF into another error: io.EOF means that all entries have been read.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skip skips the value of a field.
func skip(decoder *json.Decoder) error {
	var value json.RawMessage
	if err := decoder.Decode(&value); err != nil {
		return fmt.Errorf("decode: %w", unexpected(err))
	}
	return nil
}

// Size is how many bytes of memory the tree takes; 0 after Forget.
func (t *Reader) Size() int { return len(t.data) }

// Forget frees that memory. Before the next call of Next, the tree must be remembered.
func (t *Reader) Forget() { t.data, t.slow = nil, nil }

// Remember brings the forgotten bytes back, so that reading goes on where it stopped.
func (t *Reader) Remember(data []byte) { t.data = data }

// Next returns the next entry, in the order of names; io.EOF after the last. It has checked all names: each is a plain
// name, and occurs once.
func (t *Reader) Next() (Node, error) {
	if t.ended {
		return Node{}, io.EOF
	}
	if !t.more() {
		if err := t.end(); err != nil {
			return Node{}, err
		}
		return Node{}, io.EOF
	}
	node, err := t.decode()
	if err != nil {
		return Node{}, fmt.Errorf("decode: %w", unexpected(err))
	}
	if err := t.order.next(&node); err != nil {
		return Node{}, err
	}
	return node, nil
}

// All reads the entries of a tree. next is the Next of a Reader or a Stream, size is the tree's size in bytes.
func All(next func() (Node, error), size int) ([]Node, error) {
	var nodes []Node
	for {
		node, err := next()
		if errors.Is(err, io.EOF) {
			return nodes, nil
		}
		if err != nil {
			return nil, err
		}
		if nodes = append(nodes, node); len(nodes) > size/minNodeSize+1 {
			return nil, errors.New("lists more entries than anything of its size can")
		}
	}
}

// more goes to the next entry. If there is none, the list may end here, or it may be no list at all.
func (t *Reader) more() bool {
	t.space()
	if t.at == len(t.data) || t.data[t.at] == ']' {
		return false
	}
	if !t.order.begun {
		return true
	}
	comma := t.data[t.at] == ','
	if comma {
		t.at++
		t.space()
	}
	return comma
}

// space skips white space between the parts of JSON.
func (t *Reader) space() {
	for t.at < len(t.data) && strings.IndexByte(" \t\r\n", t.data[t.at]) >= 0 {
		t.at++
	}
}

// decode reads the next entry.
func (t *Reader) decode() (node Node, err error) {
	if length := decodeNode(t.data[t.at:], &node); length > 0 {
		t.slow = nil
		t.at += length
		return node, nil
	}
	if t.slow == nil {
		const begin = "["
		t.slow = json.NewDecoder(io.MultiReader(strings.NewReader(begin), bytes.NewReader(t.data[t.at:])))
		t.slowFrom = t.at - len(begin)
		if _, err := t.slow.Token(); err != nil {
			return Node{}, err
		}
	}
	node = Node{}
	err = t.slow.Decode(&node)
	t.at = t.slowFrom + int(t.slow.InputOffset())
	return node, err
}

// end makes sure that the list ends where it seems to end: a tree that was cut off has lost entries.
func (t *Reader) end() error {
	// What comes before matters only in that it is a list.
	decoder := json.NewDecoder(io.MultiReader(strings.NewReader("{\"nodes\":["), bytes.NewReader(t.data[t.at:])))
	for range 3 {
		if _, err := decoder.Token(); err != nil {
			return fmt.Errorf("decode: %w", unexpected(err))
		}
	}
	if err := expect(decoder, json.Delim(']')); err != nil {
		return err
	}
	for decoder.More() {
		field, err := decoder.Token()
		if err != nil {
			return fmt.Errorf("decode: %w", unexpected(err))
		}
		if field == "nodes" {
			return fmt.Errorf("a second list: %w", ErrNoTree)
		}
		if err := skip(decoder); err != nil {
			return err
		}
	}
	if err := expect(decoder, json.Delim('}')); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something follows it: %w", ErrNoTree)
	}
	t.ended = true
	return nil
}
