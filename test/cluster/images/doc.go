// Package images says which images the test cluster has, and builds them into archives.
//
//	10-core.tar       the pause image and the S3 server: without them no pod starts, so they are loaded first
//	20-workloads.tar  what tests run: busybox, redis, nginx; the latter two on one base layer of Debian packages
//	30-product.tar    stsbackup itself, as its Dockerfile would build it
//
// Each archive has a stamp. Debian packages are those that apt finds when the archive is built for the first time. They
// stay until the state folder is purged or the list of packages changes: asking apt at every start would cost more than
// the start.
package images
