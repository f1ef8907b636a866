// Package s3 is a Bucket in S3-compatible storage, on minio-go, which only this package imports.
//
// What it adds to the library:
//
//   - Every object is uploaded in one PUT, so that it is there whole or not at all, with a signed SHA-256 and a CRC32C
//     of its data for the server to check; services that refuse the CRC32C get Content-MD5, or neither (put.go).
//     minio-go's own retries are off: every operation is one attempt. The package repeats it (retry.go) for as long as
//     the failure may pass, with growing, random pauses that end with the context.
//   - A listing is fetched page by page, each page an attempt of its own that goes on after the last name seen. A listing
//     that begins again, or does not end, is an error; in doubt (storage.WithDoubt), List does not believe its end
//     either (list.go).
//   - If a download breaks, it goes on where it broke, but only with the same version of the object, as ETag, time and
//     size tell. It ends with io.EOF after the last byte asked for, and never before.
//   - Nothing waits for ever: there are limits on connecting, on waiting for an answer, and on a stream that stands still.
//     There is no limit on a whole transfer, whose duration depends on the line.
//   - Every failure becomes one of storage's sentinels with one line that says which cause it had and what to do
//     (errors.go). classify is a pure function of the failure and a few facts.
//   - Messages show what the server says about a refusal, and say what to do about it (answers.go, candid.go). They name
//     a proxy in between (proxy.go).
//   - Credentials come from where the AWS tools find them (credentials.go), in the same order. A place that is set up but
//     does not work is an error, not a reason to try the next one. Only asking tells whether EC2's metadata service
//     exists, so that gets two seconds.
//   - Keys of a session expire. Files are read for every request, so nobody notices keys that are replaced in time. If
//     keys have worked and the server then refuses them as expired, the package waits, for minutes, while others renew
//     them.
package s3
