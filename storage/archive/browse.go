package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// ErrNoEntry says that a repository snapshot holds no such entry.
var ErrNoEntry = errors.New("no such file or directory")

// Lookup finds the entry at a path below the top-level entry name of a repository snapshot; "" is that entry itself, a
// directory or the content of a block device. No symlink is followed. The index must be loaded.
func Lookup(ctx context.Context, repo *repository.Repository, snapshot repository.Snapshot, name, where string) (repository.Node, error) {
	node, err := topEntry(ctx, repo, snapshot, name)
	if err != nil {
		return repository.Node{}, err
	}
	for _, element := range elements(where) {
		nodes, err := Entries(ctx, repo, node)
		if err != nil {
			return repository.Node{}, err
		}
		i := slices.IndexFunc(nodes, func(n repository.Node) bool { return n.Name == element })
		if i < 0 {
			return repository.Node{}, fmt.Errorf("%s: %w", where, ErrNoEntry)
		}
		node = nodes[i]
	}
	return node, nil
}

// elements cuts a path as users write it into names.
func elements(where string) []string {
	clean := strings.TrimPrefix(path.Clean("/"+where), "/")
	if clean == "" {
		return nil
	}
	return strings.Split(clean, "/")
}

// Entries lists a directory; of an entry that is no directory, it is an ErrNoEntry.
func Entries(ctx context.Context, repo *repository.Repository, node repository.Node) ([]repository.Node, error) {
	if node.Type != repository.DirNode || node.Subtree == nil {
		return nil, fmt.Errorf("%s is no directory: %w", node.Name, ErrNoEntry)
	}
	return repo.LoadTree(ctx, *node.Subtree)
}

// Copy writes the content of a file to out. What a restore would refuse is refused before that. Each blob's hash is checked before its bytes are written.
func Copy(ctx context.Context, repo *repository.Repository, node repository.Node, out io.Writer) error {
	if node.Type != repository.FileNode {
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
