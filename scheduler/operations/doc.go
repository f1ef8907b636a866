// Package operations does what the scheduler asks for, with the same functions that the commands use: it backs up,
// removes recovery points, prunes, verifies, and frees volumes that were set aside.
//
// A scheduler lives for months, so it keeps nothing that can change: it reads the password, the credentials and the
// certificates anew for each operation (Config.Root). It keeps only the connection to the cluster, whose token the
// library reads anew by itself.
//
// An operation that removes data from a repository holds the Lease of the StatefulSet while nobody may work beside it
// (lease.go). So it meets no backup of this cluster, and the next holder of the Lease knows what to make of a lock that
// was left.
//
// translate gives each error its meaning for the scheduler: busy, gone, refused, or the bucket as a whole.
//
// This is the only package beside cmd that may import both the scheduler and the engines.
package operations
