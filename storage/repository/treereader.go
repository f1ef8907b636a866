package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// minNodeSize is less than what the shortest entry of a directory takes in a tree: its times alone take more. A tree of
// more entries than that allows would take very many times its own size in memory.
const minNodeSize = 64

// TreeReader reads the entries of a directory one after the other. It takes less memory than LoadTree, which matters
// for directories of very many entries.
type TreeReader struct {
	id   ID
	data []byte
	at   int // in data, of what comes next in the list
	// slow reads the list, from slowFrom on, while entries are written in another way than ours.
	slow     *json.Decoder
	slowFrom int
	last     string
	begun    bool
	ended    bool

	large *largeTree // in place of data
}

// ReadTree opens a directory for reading. A large one is kept as it is stored, and read as a stream.
func (r *Repository) ReadTree(ctx context.Context, id ID) (*TreeReader, error) {
	at, err := r.Locate(TreeBlob, id)
	if err != nil {
		return nil, err
	}
	if at.PlainLength > streamedTree {
		t := &TreeReader{id: id, large: &largeTree{}}
		return t, r.openLarge(ctx, t, at)
	}
	data, err := r.loadTreeBlob(ctx, at, id)
	if err != nil {
		return nil, err
	}
	return openTree(id, data)
}

// Size is how many bytes of memory a tree takes while it is read; 0 once it is forgotten.
func (t *TreeReader) Size() int {
	if t.large != nil {
		return t.large.size()
	}
	return len(t.data)
}

// Forget gives that memory back. Before Next is called again, the tree must be remembered.
func (t *TreeReader) Forget() {
	t.data, t.slow = nil, nil
	if t.large != nil {
		t.large.forget()
	}
}

// Remember reads a tree that was forgotten once more, so that it is gone on with where it was left.
func (r *Repository) Remember(ctx context.Context, t *TreeReader) error {
	at, err := r.Locate(TreeBlob, t.id)
	if err != nil {
		return err
	}
	if t.large != nil {
		return r.openLarge(ctx, t, at)
	}
	t.data, err = r.loadTreeBlob(ctx, at, t.id) // the same bytes, as they have the same hash
	return err
}

// LoadTree reads the entries of a directory, which is known to be no large one. All names have been checked: each is a plain
// one, and comes once.
func (r *Repository) LoadTree(ctx context.Context, id ID) ([]Node, error) {
	reader, err := r.ReadTree(ctx, id)
	if err != nil {
		return nil, err
	}
	size := len(reader.data)
	if reader.large != nil {
		size = reader.large.length
	}
	return loadAll(reader, size)
}

// loadAll reads all entries of a tree of a size in bytes.
func loadAll(reader *TreeReader, size int) ([]Node, error) {
	var nodes []Node
	for {
		node, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nodes, nil
		}
		if err != nil {
			return nil, err
		}
		if nodes = append(nodes, node); len(nodes) > size/minNodeSize+1 {
			return nil, reader.fail(errors.New("lists more entries than anything of its size can"))
		}
	}
}

// errTree says that a blob is no tree.
var errTree = errors.New("no list of nodes")

// openTree finds the list of nodes. Fields that the format does not have yet may lie before or behind it.
func openTree(id ID, data []byte) (*TreeReader, error) {
	t := &TreeReader{id: id, data: data}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := expect(decoder, json.Delim('{')); err != nil {
		return nil, t.fail(err)
	}
	for decoder.More() {
		field, err := decoder.Token()
		if err != nil {
			return nil, t.fail(fmt.Errorf("decode: %w", err))
		}
		if field == "nodes" {
			if err := expect(decoder, json.Delim('[')); err != nil {
				return nil, t.fail(err)
			}
			t.at = int(decoder.InputOffset())
			return t, nil
		}
		if err := skip(decoder); err != nil {
			return nil, t.fail(err)
		}
	}
	return nil, t.fail(errTree)
}

func expect(decoder *json.Decoder, want json.Token) error {
	token, err := decoder.Token()
	if err != nil || token != want {
		return errors.Join(errTree, unexpected(err))
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

// Next returns the next entry, in the order of names; io.EOF after the last. Names are checked as LoadTree does.
func (t *TreeReader) Next() (Node, error) {
	if t.ended {
		return Node{}, io.EOF
	}
	node, err := t.next()
	if errors.Is(err, io.EOF) {
		return Node{}, io.EOF
	}
	if err != nil {
		return Node{}, t.fail(err)
	}
	if err := node.CheckName(); err != nil {
		return Node{}, t.fail(err)
	}
	if t.begun && node.Name <= t.last {
		return Node{}, t.fail(fmt.Errorf("entry %.80q does not come after %.80q", node.Name, t.last))
	}
	t.begun, t.last = true, node.Name
	return node, nil
}

// next decodes the next entry, and checks nothing; io.EOF after the last.
func (t *TreeReader) next() (Node, error) {
	if t.large != nil {
		node, err := t.large.next(t.begun)
		if err != nil {
			t.ended = errors.Is(err, io.EOF)
			t.large.forget()
		}
		return node, err
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
	return node, nil
}

// more goes on to the next entry. If there is none, that may be the end of the list, or not be a list at all.
func (t *TreeReader) more() bool {
	t.space()
	if t.at == len(t.data) || t.data[t.at] == ']' {
		return false
	}
	if !t.begun {
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
func (t *TreeReader) space() {
	for t.at < len(t.data) && strings.IndexByte(" \t\r\n", t.data[t.at]) >= 0 {
		t.at++
	}
}

// decode reads the entry that comes next.
func (t *TreeReader) decode() (node Node, err error) {
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
func (t *TreeReader) end() error {
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
			return fmt.Errorf("a second list: %w", errTree)
		}
		if err := skip(decoder); err != nil {
			return err
		}
	}
	if err := expect(decoder, json.Delim('}')); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something follows it: %w", errTree)
	}
	t.ended = true
	return nil
}

func (t *TreeReader) fail(err error) error { return fmt.Errorf("tree %s: %w", t.id, err) }
