// Package modules builds the cluster's programs from Go modules.
//
// Programs whose dependencies agree share a module below build/: its go.mod names them as tools and pins every version, its go.sum every
// byte. No single build list serves all of them. A group is built by one `go build`, which uses all processors by itself, and two groups
// are built beside each other, so that one downloads or links while the other compiles.
//
// A group whose go.mod, go.sum, Go version and flags have not changed since its programs were built is left alone: the go command is not
// even asked, because loading the module graph of Kubernetes alone takes it seconds.
package modules
