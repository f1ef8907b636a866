// Package config renders the components' configuration files and command lines. All of it is functions of a
// spec.Cluster: the same cluster gives the same text, so tests can look at it without starting anything.
//
// Settings that differ from those of a production cluster say why beside them. Most are of two kinds: paths, because
// several clusters (and the host's own container runtime) must not meet; and rights that the harness may lack in a
// container or a small VM.
package config
