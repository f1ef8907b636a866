// Package rights says which rights in a cluster a person lacks for a backup or a restore.
//
// Missing takes the rules of deploy/base/clusterrole.yaml that a verb needs, splits them into single rights in the
// namespaces of the request, and asks the API server about each of them. So a person learns of all missing rights
// at once, instead of one with each attempt. Lack.Lines names them for a person, with the command that grants them.
//
// Asking takes no right, and changes nothing.
package rights
