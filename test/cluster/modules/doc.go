// Package modules builds the cluster's programs from Go modules.
//
// Programs whose dependencies agree share a module below build/: its go.mod names them as tools and pins every version,
// its go.sum every byte. No single build list serves all of them. One `go build`, which uses all processors by itself,
// builds a group. Two groups are built at the same time, so that one downloads or links while the other compiles.
//
// A group is left alone if its go.mod, go.sum, Go version and flags have not changed since its programs were built.
// Then nobody even runs the go command: it would take seconds to load the module graph of Kubernetes alone.
package modules
