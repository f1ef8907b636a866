// Package setup says how movers run, from what a person asked for and from what the process knows that starts them.
//
// A mover has none of the environment of that process. Config therefore completes the repository's URL, and hands on what the
// mover needs to reach the bucket: the password of the one repository (never the root password), the keys for S3 that the process
// would use itself, the certificates to trust, the limits and the proxies. What is secret goes into files that the mover alone can
// read. The files are read anew for each mover, because the keys of a role are other ones each time.
package setup
