package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// ErrNoEntry says that a repository snapshot holds no such entry.
var ErrNoEntry = errors.New("no such file or directory")

// Lookup finds the entry at a path below the top-level entry name of a repository snapshot. The path "" is the
// top-level entry itself: a directory, or the content of a block device. Lookup follows no symlink. The index must be
// loaded.
func Lookup(ctx context.Context, repo *repository.Repository, snapshot repository.Snapshot, name, where string) (treeblob.Node, error) {
	node, err := topEntry(ctx, repo, snapshot, name)
	if err != nil {
		return treeblob.Node{}, err
	}
	for _, element := range elements(where) {
		tree, err := treeOf(&node)
		if err != nil {
			return treeblob.Node{}, err
		}
		if node, err = findEntry(ctx, repo, tree, element); errors.Is(err, ErrNoEntry) {
			err = fmt.Errorf("%s: %w", where, err)
		}
		if err != nil {
			return treeblob.Node{}, err
		}
	}
	return node, nil
}

// findEntry finds an entry of a directory by its name, or returns ErrNoEntry. It reads the whole directory, because no
// part of a damaged directory counts.
func findEntry(ctx context.Context, repo *repository.Repository, tree repository.ID, name string) (found treeblob.Node, err error) {
	err = eachEntry(ctx, repo, tree, func(node *treeblob.Node) error {
		if node.Name == name {
			found = *node
		}
		return nil
	})
	if err == nil && found.Name == "" {
		err = ErrNoEntry
	}
	return found, err
}

// eachEntry goes through a directory, with only one entry in memory at a time.
func eachEntry(ctx context.Context, repo *repository.Repository, tree repository.ID, do func(*treeblob.Node) error) error {
	reader, err := repo.ReadTree(ctx, tree)
	if err != nil {
		return err
	}
	defer reader.Forget()
	for {
		node, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = do(&node)
		}
		if err != nil {
			return err
		}
	}
}

// treeOf names the tree of a directory, or returns ErrNoEntry if the entry is no directory.
func treeOf(node *treeblob.Node) (repository.ID, error) {
	if node.Type != treeblob.Dir || node.Subtree == nil {
		return repository.ID{}, fmt.Errorf("%s is no directory: %w", node.Name, ErrNoEntry)
	}
	return *node.Subtree, nil
}

// elements splits a path as users write it into names.
func elements(where string) []string {
	clean := strings.TrimPrefix(path.Clean("/"+where), "/")
	if clean == "" {
		return nil
	}
	return strings.Split(clean, "/")
}

// Entries lists a directory, or returns ErrNoEntry if the entry is no directory. EachEntry takes less memory.
func Entries(ctx context.Context, repo *repository.Repository, node treeblob.Node) ([]treeblob.Node, error) {
	var nodes []treeblob.Node
	err := EachEntry(ctx, repo, node, func(n *treeblob.Node) error {
		nodes = append(nodes, *n)
		return nil
	})
	return nodes, err
}

// EachEntry calls do for each entry of a directory, in the order of names. It returns ErrNoEntry if the entry is no
// directory. An error from do ends the loop.
func EachEntry(ctx context.Context, repo *repository.Repository, node treeblob.Node, do func(*treeblob.Node) error) error {
	tree, err := treeOf(&node)
	if err != nil {
		return err
	}
	return eachEntry(ctx, repo, tree, do)
}

// Copy writes the content of a file to out. It first refuses whatever a restore would refuse. It checks each blob's
// hash before it writes the blob's bytes.
func Copy(ctx context.Context, repo *repository.Repository, node treeblob.Node, out io.Writer) error {
	if node.Type != treeblob.File {
		return fmt.Errorf("%s is a %s, not a file", node.Name, node.Type)
	}
	if _, err := repo.Judge(&node); err != nil {
		return fmt.Errorf("read %s: %w", node.Name, err)
	}
	for _, id := range node.Content {
		data, err := repo.LoadBlob(ctx, repository.DataBlob, id)
		if err != nil {
			return fmt.Errorf("read %s: %w", node.Name, err)
		}
		if _, err := out.Write(data); err != nil {
			return fmt.Errorf("write %s: %w", node.Name, err)
		}
	}
	return nil
}
