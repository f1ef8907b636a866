// Package cluster is what backup and restore both ask of Kubernetes.
package cluster
