// Package lifecycle tests the test cluster itself, on a real one in a state folder of its own: that it comes up, does
// what tests will ask of it, and leaves nothing behind, whatever ends it. It needs root and takes minutes, so its tests
// have the build tag "lifecycle" (make test-cluster).
package lifecycle
