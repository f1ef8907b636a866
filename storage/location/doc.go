// Package location turns the URL of a repository root into what is kept there: URL → Bucket → repository.
//
//   - Check and S3 read a URL. Nothing is opened.
//   - OpenBucket opens the bucket, or the part of it, that the URL names, within limits (package limit). An S3 service is
//     asked nothing yet; a directory must exist, unless the caller has it created.
//   - Open adds the root password. The Root that it returns knows the password of each StatefulSet's repository below it,
//     opens these repositories, and lists them.
//
// What a person has written wrongly (a URL, a limit, an endpoint in the environment) is an *InvalidError. No message
// repeats a URL that could hold a secret.
package location
