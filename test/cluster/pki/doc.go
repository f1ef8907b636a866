// Package pki makes the keys of one life of the cluster: an authority, the servers' certificates, a client certificate
// and kubeconfig for every component, and the key that signs service account tokens.
//
// A component's identity is its certificate's common name and organization, as Kubernetes reads them; RBAC decides what
// it may do. Everything is made anew at each start and lives in the run folder, so nothing ever expires or leaks into
// another cluster.
package pki
