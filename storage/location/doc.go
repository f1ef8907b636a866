// Package location turns the URL of a repository root into what is stored there: URL → Bucket → repository.
//
//   - Check and S3 read a URL. They open nothing.
//   - OpenBucket opens the bucket, or the part of it, that the URL names, within limits (package limit). It does not talk
//     to an S3 service yet; a directory must exist, unless the caller has it created.
//   - Open adds the root password. It returns a Root, which knows the password of each StatefulSet's repository below it,
//     opens these repositories, and lists them.
//
// If a person has written something wrongly (a URL, a limit, an endpoint in the environment), the error is an
// *InvalidError. No message repeats a URL that could hold a secret.
package location
