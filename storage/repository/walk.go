package repository

import (
	"context"
	"fmt"
)

// blobSet is a set of blobs of both types.
type blobSet struct{ data, tree map[ID]struct{} }

func newBlobSet() blobSet { return blobSet{data: map[ID]struct{}{}, tree: map[ID]struct{}{}} }

func (s blobSet) of(t BlobType) map[ID]struct{} {
	if t == TreeBlob {
		return s.tree
	}
	return s.data
}

// add reports whether the blob is new to the set.
func (s blobSet) add(t BlobType, id ID) bool {
	blobs := s.of(t)
	if _, known := blobs[id]; known {
		return false
	}
	blobs[id] = struct{}{}
	return true
}

// walk visits every tree below the roots once, adds all that it meets to seen, and hands what cannot be loaded or is
// not in the index to problem. It stops at the first error that problem returns. The stack is a slice, so that a tree
// that is nested as deeply as someone liked costs memory and not a crash.
func (r *Repository) walk(ctx context.Context, roots []ID, seen blobSet, problem func(BlobType, ID, error) error) error {
	var stack []ID
	push := func(id ID) {
		if seen.add(TreeBlob, id) {
			stack = append(stack, id)
		}
	}
	for _, root := range roots {
		push(root)
		for len(stack) > 0 {
			id := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			nodes, err := r.LoadTree(ctx, id)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				if err := problem(TreeBlob, id, err); err != nil {
					return err
				}
				continue
			}
			if err := r.walkNodes(id, nodes, seen, push, problem); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Repository) walkNodes(tree ID, nodes []Node, seen blobSet, push func(ID), problem func(BlobType, ID, error) error) error {
	for i := len(nodes) - 1; i >= 0; i-- { // the stack turns the order round again
		node := nodes[i]
		if node.Type == DirNode {
			if node.Subtree == nil {
				if err := problem(TreeBlob, tree, fmt.Errorf("the directory %.80q has no tree", node.Name)); err != nil {
					return err
				}
				continue
			}
			push(*node.Subtree)
		}
		for _, id := range node.Content {
			if !seen.add(DataBlob, id) {
				continue
			}
			_, known, err := r.index.find(DataBlob, id)
			if err == nil && !known {
				err = ErrNoBlob
			}
			if err != nil {
				if err := problem(DataBlob, id, fmt.Errorf("a piece of the file %.80q: %w", node.Name, err)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
