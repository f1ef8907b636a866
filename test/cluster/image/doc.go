// Package image builds container images without a container engine.
//
// A layer is a Tree: paths with their contents, written as a tar in order of the paths, with no times, so that the same contents always
// give the same layer, the same digest and nothing to load. Trees are filled from static binaries and from Debian packages: apt resolves a
// package's dependencies against an empty system, dpkg-deb gives a package's files as a tar, and their entries are merged. No maintainer
// script runs, nothing is unpacked onto the disk and no rights are needed; what such a script would have made (a user, a folder) is added
// by hand.
//
// Images of Debian packages share one base layer; each has a second layer with what the base does not have.
// Layers are not compressed: they travel a few folders, not a network. Images that belong together are written as one archive, in which a
// shared layer is stored once.
package image
