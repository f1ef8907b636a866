// Package setup decides how movers run, from what a person asked for and from what the process that starts them knows.
//
// A mover inherits none of that process's environment. So Config completes the repository's URL, and passes on what the
// mover needs to reach the bucket: the password of the one repository (never the root password), the S3 keys that the
// process itself would use, the certificates to trust, the limits and the proxies. Secrets go into files that only the
// mover can read. Each mover gets these files
// read anew, because the keys of a role change each time.
package setup
