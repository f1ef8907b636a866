// Package storagetest is what tests of buckets, and tests on top of buckets, share.
//
//   - Memory is a Bucket in memory, strict wherever the contract lets a medium choose.
//   - Contract is the suite that every Bucket must pass; it holds each obligation that the doc comment of
//     storage.Bucket states.
//   - Faulty wraps a Bucket and makes its n-th operation fail in a planned way. A test of crash safety runs its
//     workload once to count the operations, then once more for each of them and each way to fail, and checks
//     after every run what the bucket is left with. Fired tells a fault that happened from one that was only
//     planned: a run whose fault never fired has tested nothing.
//   - Package odds3 is an S3 server with the oddities of those in the field.
package storagetest
