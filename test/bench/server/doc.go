// Package server runs a real S3 server on the loopback interface for as long as a benchmark takes.
package server
