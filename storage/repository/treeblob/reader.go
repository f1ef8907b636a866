package treeblob

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// minNodeSize is less than what the shortest entry of a directory takes in a tree: its times alone take more. A tree of
// more entries than that allows would take very many times its own size in memory.
const minNodeSize = 64

// order holds the entries of a tree to the order of their names.
type order struct {
	last  string
	begun bool
}

// next takes in the next entry. Each name is a plain one, and comes once.
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
	at   int // in data, of what comes next in the list
	// slow reads the list, from slowFrom on, while entries are written in another way than ours.
	slow     *json.Decoder
	slowFrom int
	order    order
	ended    bool
}

// ErrNoTree says that a blob is no tree.
var ErrNoTree = errors.New("no list of nodes")

// Open finds the list of nodes in the bytes of a tree. Fields that the format does not have yet may lie before or behind it.
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

// unexpected makes the end of the input an error of its own: io.EOF says that all entries have been read.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skip passes over the value of a field.
func skip(decoder *json.Decoder) error {
	var value json.RawMessage
	if err := decoder.Decode(&value); err != nil {
		return fmt.Errorf("decode: %w", unexpected(err))
	}
	return nil
}

// Size is how many bytes of memory the tree takes; 0 once it is forgotten.
func (t *Reader) Size() int { return len(t.data) }

// Forget gives that memory back. Before Next is called again, the tree must be remembered.
func (t *Reader) Forget() { t.data, t.slow = nil, nil }

// Remember is given the bytes that were forgotten, so that the tree is gone on with where it was left.
func (t *Reader) Remember(data []byte) { t.data = data }

// Next returns the next entry, in the order of names; io.EOF after the last. All names have been checked: each is a plain one, and
// comes once.
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

// All reads the entries of a tree of a size in bytes from next, which is that of a Reader or of a Stream.
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

// more goes on to the next entry. If there is none, that may be the end of the list, or not be a list at all.
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

// space passes over what may be between the parts of JSON.
func (t *Reader) space() {
	for t.at < len(t.data) && strings.IndexByte(" \t\r\n", t.data[t.at]) >= 0 {
		t.at++
	}
}

// decode reads the entry that comes next.
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

// end makes sure that the list ends where it seems to: a tree that was cut off has lost entries.
func (t *Reader) end() error {
	// Of what comes before, all that matters is that it is a list.
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
