// Package image builds container images without a container engine.
//
// A layer is a Tree: paths with their contents, written as a tar in order of the paths, without times. So the same
// contents always give the same layer and the same digest, and nothing to load. Trees are filled from static binaries
// and from Debian packages: apt resolves a package's dependencies against an empty system, dpkg-deb prints a package's
// files as a tar, and their entries are merged. No maintainer script runs, nothing is unpacked onto the disk, and no
// rights are needed. What such a script would have made (a user, a folder), this package adds by hand.
//
// Images of Debian packages share one base layer; each has a second layer with what the base does not have. Layers are
// not compressed: they travel between folders, not over a network. Images that belong together are written as one
// archive, which stores a shared layer once.
package image
