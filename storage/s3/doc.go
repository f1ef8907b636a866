// Package s3 is a Bucket in S3-compatible storage, on minio-go, which only this package imports.
//
// What it adds to the library:
//
//   - Every object goes up in one PUT, so that it is there whole or not at all, with a signed SHA-256 and a CRC32C
//     of its data for the server to check; services that refuse the CRC32C get Content-MD5, or neither (put.go).
//     minio-go's own retries are off: every operation is one attempt, repeated here (retry.go) for as long as its
//     failure may pass, with growing, random pauses that end with the context.
//   - A listing is fetched page by page, each page an attempt of its own that goes on after the last name seen. One that begins
//     again, or does not come to its end, is an error; in doubt (storage.WithDoubt) its end is not believed either (list.go).
//   - A download that breaks is taken up again where it broke, of the same version of the object only, as ETag, time and
//     size tell. It ends with io.EOF after the last byte asked for, and never before.
//   - Nothing waits for ever: connecting, waiting for an answer, and a stream that stands still have limits. There is
//     none on the whole of a transfer, whose length depends on the line.
//   - Every failure becomes one of storage's sentinels with one line that says which of its causes it was and what
//     to do (errors.go). classify is a pure function of the failure and a few facts.
//   - What the server says of a refusal is shown, and what to do is said where it fits (answers.go, candid.go). A proxy that
//     is in between is named (proxy.go).
//   - Credentials come from where the AWS tools find them (credentials.go), each place tried in their order. A place
//     that is set up but does not work is an error, not a reason to go on to the next one. The metadata service of
//     EC2, which can only be found out about by asking, gets two seconds.
//   - Keys of a session end. Files are read for every request, so keys that are replaced in time are never noticed; and
//     once keys were good, a refusal that says that they no longer are is waited out, for minutes, while others renew them.
package s3
