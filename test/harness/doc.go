// Package harness drives stsbackup as its users do: as a program beside kubectl and restic, against a real cluster
// and a real bucket. The demo and the end-to-end tests are written with it.
//
// It learns where everything is from environment variables: those that `make cluster-up` writes to .cluster/env, or
// those that a user sets to run the end-to-end tests against a cluster of their own (CONTRIBUTING.md lists them).
package harness
