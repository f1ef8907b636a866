// Package rights tells which rights in a cluster somebody lacks who wants to back up or to restore.
//
// Missing takes the rules of deploy/base/clusterrole.yaml that a verb needs, takes them apart into single rights in the
// namespaces that it is about, and asks the API server about each of them. So all that are missing are known at once:
// by trying they come out one at a time. Lack.Lines names them for a person, with the command that grants them.
//
// To ask takes no right, and changes nothing.
package rights
