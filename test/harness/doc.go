// Package harness drives stsbackup as its users do: as a program beside kubectl and restic, against a real cluster and
// a real bucket. The demo and the end-to-end tests use it.
//
// Environment variables tell it where everything is: those that `make cluster-up` writes to .cluster/env, or those that
// a user sets to run the end-to-end tests against a cluster of their own (CONTRIBUTING.md lists them).
package harness
