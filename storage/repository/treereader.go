package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// TreeReader reads the entries of a directory one after the other. It takes less memory than LoadTree, which matters
// for directories of very many entries.
type TreeReader struct {
	id      ID
	decoder *json.Decoder
	last    string
	begun   bool
}

// ReadTree opens a directory for reading.
func (r *Repository) ReadTree(ctx context.Context, id ID) (*TreeReader, error) {
	data, err := r.loadTreeBlob(ctx, id)
	if err != nil {
		return nil, err
	}
	t := &TreeReader{id: id, decoder: json.NewDecoder(bytes.NewReader(data))}
	for _, want := range []json.Token{json.Delim('{'), "nodes", json.Delim('[')} {
		if token, err := t.decoder.Token(); err != nil || token != want {
			return nil, t.fail(fmt.Errorf("does not begin as a tree does: %w", errors.Join(err, errTree)))
		}
	}
	return t, nil
}

// errTree says that a blob is no tree.
var errTree = errors.New("no list of nodes")

// Next returns the next entry, in the order of names; io.EOF after the last. Names are checked as LoadTree does.
func (t *TreeReader) Next() (Node, error) {
	if !t.decoder.More() {
		return Node{}, io.EOF
	}
	var node Node
	if err := t.decoder.Decode(&node); err != nil {
		return Node{}, t.fail(fmt.Errorf("decode: %w", err))
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

func (t *TreeReader) fail(err error) error { return fmt.Errorf("tree %s: %w", t.id, err) }
