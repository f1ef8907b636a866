// Package operations does what the scheduler asks for, by the same functions that the commands use: it backs up, removes
// recovery points, prunes, verifies, and frees volumes that were set aside.
//
// A scheduler lives for months, so nothing that can change is kept: the password, the credentials and the certificates are read
// anew for each operation (Config.Root). What is kept is the way to the cluster, whose own token is read anew by the library.
//
// What removes data from a repository has the Lease of the StatefulSet while nobody may work beside it (lease.go). So it meets no
// backup of this cluster, and who has the Lease next knows what to make of a lock that was left.
//
// Errors are given the meaning that they have for the scheduler (translate): busy, gone, refused, or the bucket as a whole.
//
// It is the one package beside cmd that may import both the scheduler and the engines.
package operations
