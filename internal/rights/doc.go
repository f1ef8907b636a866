// Package rights tells which rights in a cluster a person lacks for a backup or a restore.
//
// Missing takes the rules of deploy/base/clusterrole.yaml that a verb needs, takes them apart into single rights in the
// namespaces that it is about, and asks the API server about each of them. So a person learns all missing rights
// at once; by trying, they would learn one at a time. Lack.Lines names them for a person, with the command that grants them.
//
// To ask takes no right, and changes nothing.
package rights
