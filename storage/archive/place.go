package archive

import (
	"path"
	"slices"
)

// place says where a directory lies in the volume. Paths are built only when they are shown: storing a path for each
// directory of a very deep tree would take very much memory.
type place struct {
	above *place // nil for the volume's root
	name  string
	depth int // 0 for the root
}

// path is the path within the volume; "" for the root.
func (p *place) path() string {
	return path.Join(p.names()...)
}

// join is the path of an entry.
func (p *place) join(name string) string { return path.Join(p.path(), name) }

// names are the elements of the path.
func (p *place) names() []string {
	var names []string
	for ; p.above != nil; p = p.above {
		names = append(names, p.name)
	}
	slices.Reverse(names)
	return names
}
